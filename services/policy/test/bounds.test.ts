import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { common, policy } from "@weir/contracts";
import { fromConnectError } from "@weir/mesh";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";
import { WatchClient } from "./watch-client.ts";

let postgres: BackingPostgres;
let one: Replica;
let two: Replica;
beforeAll(async () => {
  postgres = await startPostgres();
  one = await replica(postgres.url);
  two = await replica(postgres.url);
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { BudgetUnit, BudgetPeriod, LimitSubject, LimitUnit, Scope } = policy;
const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
type Place = MessageInitShape<typeof policy.PlaceSchema>;

async function newWorkspace() {
  const { workspace } = await one.admin.createWorkspace({ name: `w-${randomUUID().slice(0, 8)}` }, one.asAdmin);
  const id = workspace?.id ?? "";
  const key = async (some: MessageInitShape<typeof policy.CreateKeyRequestSchema> = {}) => {
    const made = await one.admin.createKey({ workspace: id, name: "test", ...some }, one.asAdmin);
    return { id: made.key?.id ?? "", secret: made.secret };
  };
  const tag = (name: string, value: string): Place => ({
    place: { case: "tag", value: { workspace: id, name, value } },
  });
  const endUser = (name: string): Place => ({ place: { case: "endUser", value: { workspace: id, name } } });
  return { id, name: workspace?.name ?? "", key, tag, endUser };
}
const requests = { unit: BudgetUnit.REQUESTS, period: BudgetPeriod.DAY, hard: true };

describe("budgets and limits of end users and tags", () => {
  test("bound the requests that name them, by whichever key, and no others", async () => {
    const { key, tag, endUser } = await newWorkspace();
    const [a, b] = [await key(), await key()];
    await one.admin.putBudget({ place: tag("team", "search"), ...requests, limit: 2n }, one.asAdmin);
    await one.admin.putBudget({ place: endUser("ann"), ...requests, limit: 1n }, one.asAdmin);
    const search = { tags: { team: "search" } };
    expect(await admitOne(one, { keyId: a.id, ...search })).toMatchObject({ admitted: true, held: true });
    expect(await admitOne(one, { keyId: b.id, ...search, endUser: "ann" })).toMatchObject({
      admitted: true,
      held: true,
    });
    const over = await admitOne(one, { keyId: a.id, ...search });
    expect(over.refused?.rule).toBe("budget tag/team=search day requests");
    expect((await admitOne(one, { keyId: a.id, endUser: "ann" })).refused?.rule).toBe(
      "budget end-user/ann day requests",
    );
    for (const free of [{}, { tags: { team: "sales" } }, { endUser: "bob" }])
      expect(await admitOne(one, { keyId: a.id, ...free })).toMatchObject({ admitted: true, held: false });
  });

  test("the same name in another workspace is somebody else", async () => {
    const [mine, other] = [await newWorkspace(), await newWorkspace()];
    await one.admin.putBudget({ place: mine.endUser("ann"), ...requests, limit: 0n }, one.asAdmin);
    expect(await admitOne(one, { keyId: (await mine.key()).id, endUser: "ann" })).toMatchObject({ admitted: false });
    expect(await admitOne(one, { keyId: (await other.key()).id, endUser: "ann" })).toMatchObject({ admitted: true });
  });

  test("limits, too; another replica knows within a second", async () => {
    const { key, tag } = await newWorkspace();
    const { id } = await key();
    const terms = { unit: LimitUnit.REQUESTS, per: LimitSubject.WORKSPACE, amount: 1n, windowMs: 60_000n, burst: 0n };
    const { limit } = await one.admin.putLimit({ place: tag("use", "batch"), ...terms }, one.asAdmin);
    expect(limit?.place?.place).toMatchObject({ case: "tag", value: { name: "use", value: "batch" } });
    const batch = { keyId: id, tags: { use: "batch" } };
    await expect.poll(async () => (await admitOne(two, batch)).limits.length).toBe(1);
    expect((await admitOne(two, batch)).refused?.rule).toContain("limit tag/use=batch");
    expect(await admitOne(two, { keyId: id })).toMatchObject({ admitted: true, limits: [] });
  });

  test("are pushed once per workspace, before any of its keys, then as they change", async () => {
    const { id, key, tag } = await newWorkspace();
    const { id: keyId } = await key();
    await one.admin.putBudget({ place: tag("team", "a"), ...requests, limit: 1n }, one.asAdmin);
    await using late = new WatchClient(one);
    await expect.poll(() => late.complete).toBe(true);
    expect(late.attributesOf(id)).toMatchObject([{ hasHardBudget: true, hasBudget: true, hasLimit: false }]);
    expect(late.keys.get(keyId)).toMatchObject({ hasBudget: false });
    const before = late.messages.length;
    await one.admin.putRules({ place: tag("team", "b"), rules: { denyTools: true } }, one.asAdmin);
    await expect.poll(() => late.attributesOf(id).length).toBe(2);
    const { budgets } = await one.admin.listBudgets({ workspace: id }, one.asAdmin);
    await one.admin.deleteBudget({ budgetId: budgets[0]?.id ?? "" }, one.asAdmin);
    await one.admin.putRules({ place: tag("team", "b") }, one.asAdmin);
    await expect
      .poll(() => late.attributesOf(id).filter(({ hasBudget, rules }) => hasBudget || rules?.denyTools))
      .toEqual([]);
    const told = late.messages.slice(before).filter((message) => message !== "beat");
    expect(new Set(told)).toEqual(new Set(["workspace"]));
    expect(late.gaps).toBe(0);
  });
});

describe("what is taken away", () => {
  test("a budget bounds nothing more, and settles what was held in it; put again it counts on", async () => {
    const { id, key } = await newWorkspace();
    const { id: keyId } = await key();
    const place: Place = { place: { case: "workspace", value: id } };
    const { budget } = await one.admin.putBudget({ place, ...requests, limit: 2n }, one.asAdmin);
    const { requestId } = await admitOne(one, { keyId });
    await one.admin.deleteBudget({ budgetId: budget?.id ?? "" }, one.asAdmin);
    expect((await one.admin.listBudgets({ workspace: id }, one.asAdmin)).budgets).toEqual([]);
    expect(await admitOne(one, { keyId })).toMatchObject({ admitted: true, held: false });
    const settlement = { requestId, attempt: 1, keyId, outcome: { case: "charge" as const, value: {} } };
    const { results } = await one.policy.settleBatch({ owner: "owner", settlements: [settlement] });
    expect(results).toEqual([policy.SettlementResult.SETTLED]);
    const again = await one.admin.putBudget({ place, ...requests, limit: 2n }, one.asAdmin);
    expect(again.budget).toMatchObject({ id: budget?.id, spent: 1n, held: 0n });
    expect(await reasonOf(one.admin.deleteBudget({ budgetId: "999999" }, one.asAdmin))).toBe("not_found");
    expect(await reasonOf(one.admin.deleteBudget({ budgetId: "1; drop" }, one.asAdmin))).toBe("not_found");
  });

  test("a limit", async () => {
    const { id, key } = await newWorkspace();
    const { id: keyId } = await key();
    const terms = { unit: LimitUnit.REQUESTS, per: LimitSubject.KEY, amount: 1n, windowMs: 60_000n, burst: 0n };
    const { limit } = await one.admin.putLimit(
      { place: { place: { case: "workspace", value: id } }, ...terms },
      one.asAdmin,
    );
    await admitOne(one, { keyId });
    expect(await admitOne(one, { keyId })).toMatchObject({ admitted: false });
    await one.admin.deleteLimit({ limitId: limit?.id ?? "" }, one.asAdmin);
    expect(await admitOne(one, { keyId })).toMatchObject({ admitted: true, limits: [] });
  });
});

describe("rules", () => {
  test("of every level are merged to the strictest, and shown where they were set", async () => {
    const { organization } = await one.admin.createOrganization({ name: `o-${randomUUID().slice(0, 8)}` }, one.asAdmin);
    const at = (kind: "organization" | "workspace" | "project" | "key", value: string): Place => ({
      place: { case: kind, value },
    });
    const put = (place: Place, rules: MessageInitShape<typeof policy.RulesSchema>) =>
      one.admin.putRules({ place, rules }, one.asAdmin);
    const name = `w-${randomUUID().slice(0, 8)}`;
    const { workspace } = await one.admin.createWorkspace(
      { organization: organization?.id ?? "", name, payloadChoice: policy.PayloadChoice.FULL },
      one.asAdmin,
    );
    const { project } = await one.admin.createProject({ workspace: name, name: "p" }, one.asAdmin);
    const { key } = await one.admin.createKey({ workspace: name, project: "p", name: "k" }, one.asAdmin);
    const [w, p, k] = [workspace?.id ?? "", project?.id ?? "", key?.id ?? ""];
    await put(at("organization", organization?.id ?? ""), { allowedModels: ["gpt-*"], deniedRegions: ["cn*"] });
    await put(at("workspace", w), { allowedModels: ["gpt-4*", "claude"], payloadChoice: policy.PayloadChoice.NONE });
    await put(at("project", p), { denyTools: true, cache: common.CacheChoice.OFF, allowedIps: ["10.0.0.0/8"] });
    await put(at("key", k), { fixedTags: ["team=a"], allowedIps: ["10.1.0.0/16"], requiredGuardrails: ["pii"] });
    await using watch = new WatchClient(one);
    await expect.poll(() => watch.keys.get(k)?.rules?.fixedTags).toEqual(["team=a"]);
    const { rules, payloadChoice } = watch.keys.get(k) ?? {};
    expect(rules).toMatchObject({
      allowedModels: ["gpt-4*"],
      deniedRegions: ["cn*"],
      denyTools: true,
      cache: common.CacheChoice.OFF,
      allowedIps: ["10.1.0.0/16"],
      requiredGuardrails: ["pii"],
    });
    expect(payloadChoice).toBe(policy.PayloadChoice.NONE);
    const { organizations } = await one.admin.listOrganizations({}, one.asAdmin);
    expect(organizations.find(({ id }) => id === organization?.id)?.rules?.allowedModels).toEqual(["gpt-*"]);
    await put(at("organization", organization?.id ?? ""), {});
    await expect.poll(() => watch.keys.get(k)?.rules?.deniedRegions).toEqual([]);
  });

  test.each([
    [{ allowedIps: ["10.0.0.1/8"] }, "rules.allowed_ips"],
    [{ fixedTags: ["team"] }, "rules.fixed_tags"],
    [{ deniedRegions: ["*x"] }, "rules.denied_regions"],
    [{ payloadChoice: 99 as policy.PayloadChoice }, "rules.payload_choice"],
  ])("%j is refused, naming %s", async (rules, param) => {
    const { id } = await newWorkspace();
    const place: Place = { place: { case: "workspace", value: id } };
    const failure: unknown = await one.admin.putRules({ place, rules }, one.asAdmin).catch((error: unknown) => error);
    expect(fromConnectError(failure).param).toBe(param);
  });

  test("of end users and tags are set by who stands above all keys of the workspace, and fix no tags", async () => {
    const { id, key, tag } = await newWorkspace();
    const admin = await key({ scopes: [Scope.ADMIN] });
    const place = tag("team", "a");
    expect(await reasonOf(one.admin.putRules({ place, rules: {} }, bearer(admin.secret)))).toBe("permission_denied");
    expect(await reasonOf(one.admin.putBudget({ place, ...requests, limit: 9n }, bearer(admin.secret)))).toBe(
      "permission_denied",
    );
    expect(await reasonOf(one.admin.putRules({ place, rules: { fixedTags: ["a=b"] } }, one.asAdmin))).toBe(
      "invalid_request",
    );
    const bad: Place = tag("te am", "a");
    expect(await reasonOf(one.admin.putRules({ place: bad, rules: {} }, one.asAdmin))).toBe("invalid_request");
    await one.admin.putRules({ place, rules: { denyStreaming: true } }, one.asAdmin);
    const { attributes } = await one.admin.listAttributes({}, bearer(admin.secret));
    expect(attributes).toMatchObject([{ place: { place: { case: "tag" } }, rules: { denyStreaming: true } }]);
    const stranger = await (await newWorkspace()).key({ scopes: [Scope.ADMIN] });
    expect(await reasonOf(one.admin.listAttributes({ workspace: id }, bearer(stranger.secret)))).toBe("not_found");
    const { budget } = await one.admin.putBudget({ place, ...requests, limit: 1n }, one.asAdmin);
    expect(await reasonOf(one.admin.deleteBudget({ budgetId: budget?.id ?? "" }, bearer(stranger.secret)))).toBe(
      "not_found",
    );
    expect(await reasonOf(one.admin.deleteBudget({ budgetId: budget?.id ?? "" }, bearer(admin.secret)))).toBe(
      "permission_denied",
    );
  });
});
