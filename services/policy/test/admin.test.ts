import { randomUUID } from "node:crypto";
import { policy } from "@weir/contracts";
import { networkPeers, serveRoutes } from "@weir/mesh";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";

let postgres: BackingPostgres;
let one: Replica;
beforeAll(async () => {
  postgres = await startPostgres();
  one = await replica(postgres.url);
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { BudgetUnit, BudgetPeriod, LimitSubject, LimitUnit, Scope } = policy;
const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
const terms = { unit: BudgetUnit.TOKENS, period: BudgetPeriod.DAY, limit: 5n, hard: true };
const place = (kind: "organization" | "workspace" | "project" | "key", value: string) => ({
  place: { case: kind, value },
});

describe("who may call", () => {
  test("only who shows the admin token or a key with the admin scope that is in force", async () => {
    const { secret } = await one.admin.createKey({ name: "plain" }, one.asAdmin);
    const admin = await one.admin.createKey({ name: "admin", scopes: [Scope.ADMIN] }, one.asAdmin);
    expect(await reasonOf(one.admin.listKeys({}))).toBe("missing_key");
    expect(await reasonOf(one.admin.listKeys({}, { headers: { authorization: "Basic abc" } }))).toBe("missing_key");
    expect(await reasonOf(one.admin.listKeys({}, bearer("wrong")))).toBe("invalid_key");
    await expect(one.admin.listKeys({}, bearer(secret.slice(0, -1)))).rejects.toThrow(/mistyped/);
    expect(await reasonOf(one.admin.listKeys({}, bearer(secret)))).toBe("permission_denied");
    expect(await reasonOf(one.admin.listKeys({}, bearer(admin.secret)))).toBe("none");
    await one.admin.revokeKey({ keyId: admin.key?.id ?? "" }, one.asAdmin);
    expect(await reasonOf(one.admin.listKeys({}, bearer(admin.secret)))).toBe("invalid_key");
  });

  test("the first key has full rights in its workspace, and no others", async () => {
    const first = bearer(one.service.bootstrapSecret ?? "");
    expect(
      await reasonOf(one.admin.putBudget({ place: place("workspace", "default"), ...terms, hard: false }, first)),
    ).toBe("none");
    expect(await reasonOf(one.admin.updateWorkspace({ workspace: "default", rules: {} }, first))).toBe("none");
    expect(await reasonOf(one.admin.createWorkspace({ name: "mine" }, first))).toBe("permission_denied");
    expect(await reasonOf(one.admin.putBudget({ place: place("organization", "default"), ...terms }, first))).toBe(
      "permission_denied",
    );
  });

  test("an admin key cannot revoke the operator's, and is not told what else there is", async () => {
    const mine = await one.admin.createKey({ name: "admin", scopes: [Scope.ADMIN] }, one.asAdmin);
    const as = bearer(mine.secret);
    const { keys } = await one.admin.listKeys({}, one.asAdmin);
    const bootstrap = keys.find(({ name }) => name === "bootstrap")?.id ?? "";
    expect(await reasonOf(one.admin.revokeKey({ keyId: bootstrap }, as))).toBe("permission_denied");
    expect(await reasonOf(one.admin.listKeys({}, bearer(one.service.bootstrapSecret ?? "")))).toBe("none");
    const name = `w-${randomUUID().slice(0, 8)}`;
    const { workspace } = await one.admin.createWorkspace({ name }, one.asAdmin);
    const told = async (call: Promise<unknown>, asked: string): Promise<string> =>
      (await call.then(String, String)).replaceAll(asked, "<name>");
    for (const [there, not] of [
      [name, "w-nowhere"],
      [workspace?.id ?? "", randomUUID()],
    ] as const) {
      for (const ask of [
        (value: string) => one.admin.updateWorkspace({ workspace: value, rules: {} }, as),
        (value: string) => one.admin.listKeys({ workspace: value }, as),
        (value: string) => one.admin.putBudget({ place: place("workspace", value), ...terms }, as),
        (value: string) => one.admin.createKey({ workspace: value, name: "k" }, as),
      ]) {
        expect(await told(ask(there), there)).toBe(await told(ask(not), not));
      }
    }
    for (const organization of ["default", "nowhere"]) {
      expect(await reasonOf(one.admin.putBudget({ place: place("organization", organization), ...terms }, as))).toBe(
        "permission_denied",
      );
      expect((await one.admin.listWorkspaces({ organization }, as)).workspaces).toHaveLength(1);
    }
  });

  test("an admin key sees its workspace only and cannot widen what bounds it", async () => {
    const name = `w-${randomUUID().slice(0, 8)}`;
    await one.admin.createWorkspace({ name, rules: { allowedModels: ["fast"] } }, one.asAdmin);
    const scopes = [Scope.ADMIN, Scope.INFERENCE];
    const own = await one.admin.createKey(
      { workspace: name, name: "admin", scopes, rules: { maxOutputTokens: 50 } },
      one.asAdmin,
    );
    const as = bearer(own.secret);
    expect((await one.admin.listWorkspaces({}, as)).workspaces.map((workspace) => workspace.name)).toEqual([name]);
    expect((await one.admin.listKeys({}, as)).keys.map((key) => key.id)).toEqual([own.key?.id]);
    expect(await reasonOf(one.admin.listKeys({ workspace: "default" }, as))).toBe("not_found");
    expect(await reasonOf(one.admin.createKey({ workspace: "default", name: "k" }, as))).toBe("not_found");
    expect(await reasonOf(one.admin.updateWorkspace({ workspace: name, rules: {} }, as))).toBe("permission_denied");
    expect(await reasonOf(one.admin.putBudget({ place: place("workspace", name), ...terms }, as))).toBe(
      "permission_denied",
    );
    expect(await reasonOf(one.admin.createKey({ name: "k", scopes: [Scope.BILLING] }, as))).toBe("permission_denied");
    const made = await one.admin.createKey({ name: "k", rules: { maxOutputTokens: 500 } }, as);
    expect(made.key).toMatchObject({
      workspaceId: own.key?.workspaceId,
      rules: { allowedModels: ["fast"], maxOutputTokens: 50 },
    });
    expect(await reasonOf(one.admin.createProject({ workspace: name, name: "p" }, as))).toBe("none");
    expect(await reasonOf(one.admin.putBudget({ place: place("project", "p"), ...terms }, as))).toBe("none");
    expect(await reasonOf(one.admin.putBudget({ place: place("project", "default"), ...terms }, as))).toBe(
      "permission_denied",
    );
  });
});

describe("what is asked for", () => {
  test("names what is wrong", async () => {
    const cases: [Promise<unknown>, string][] = [
      [one.admin.createOrganization({ name: "Not A Name" }, one.asAdmin), "invalid_request"],
      [one.admin.createOrganization({ name: "default" }, one.asAdmin), "already_exists"],
      [one.admin.createWorkspace({ name: "x", organization: "nowhere" }, one.asAdmin), "not_found"],
      [one.admin.createWorkspace({ name: "default" }, one.asAdmin), "already_exists"],
      [one.admin.createKey({ name: "" }, one.asAdmin), "invalid_request"],
      [one.admin.createKey({ name: "k", expiresAtMs: 5n }, one.asAdmin), "invalid_request"],
      [one.admin.createKey({ name: "k", project: "nowhere" }, one.asAdmin), "not_found"],
      [one.admin.createKey({ name: "k", scopes: [99 as policy.Scope] }, one.asAdmin), "invalid_request"],
      [one.admin.createKey({ name: "k", rules: { allowedModels: ["a*b"] } }, one.asAdmin), "invalid_request"],
      [one.admin.revokeKey({ keyId: randomUUID() }, one.asAdmin), "not_found"],
      [one.admin.revokeKey({ keyId: "bootstrap" }, one.asAdmin), "not_found"],
      [one.admin.putBudget({ ...terms }, one.asAdmin), "invalid_request"],
      [
        one.admin.putBudget({ place: place("workspace", "default"), ...terms, limit: -1n }, one.asAdmin),
        "invalid_request",
      ],
      [
        one.admin.putBudget({ place: place("workspace", "default"), ...terms, unit: 0 }, one.asAdmin),
        "invalid_request",
      ],
      [
        one.admin.putLimit({ place: place("workspace", "default"), amount: 1n, windowMs: 1000n }, one.asAdmin),
        "invalid_request",
      ],
      [
        one.admin.putLimit(
          {
            place: place("workspace", "default"),
            per: LimitSubject.KEY,
            unit: LimitUnit.TOKENS,
            amount: 1n,
            windowMs: 1n,
          },
          one.asAdmin,
        ),
        "invalid_request",
      ],
      [one.policy.admitBatch({ owner: "o", admissions: [] }), "invalid_request"],
      [
        one.policy.admitBatch({ owner: "o", admissions: [{ requestId: "x'; drop", keyId: randomUUID(), bound: {} }] }),
        "invalid_request",
      ],
      [
        one.policy.admitBatch({ owner: "", admissions: [{ requestId: randomUUID(), keyId: randomUUID(), bound: {} }] }),
        "invalid_request",
      ],
      [
        one.policy.settleBatch({ owner: "o", settlements: [{ requestId: randomUUID(), attempt: 1 }] }),
        "invalid_request",
      ],
      [one.policy.extend({ owner: "o", requestId: randomUUID(), attempt: 1, bound: {} }), "invalid_request"],
    ];
    const reasons = await Promise.all(cases.map(([call]) => reasonOf(call)));
    expect(reasons).toEqual(cases.map(([, reason]) => reason));
  });

  test("a budget that is put again changes and opens, and an admission above it is refused at once", async () => {
    const { key } = await one.admin.createKey({ name: "k" }, one.asAdmin);
    const id = key?.id ?? "";
    const budget = { place: place("key", id), unit: BudgetUnit.NANO_USD, period: BudgetPeriod.TOTAL, hard: true };
    const first = await one.admin.putBudget({ ...budget, limit: 100n }, one.asAdmin);
    const { requestId } = await admitOne(one, { keyId: id, cost: 100n });
    // Above its bound, and above what anything can cost: booked, closed, told.
    await one.policy.settleBatch({
      owner: "owner",
      settlements: [
        { requestId, attempt: 1, keyId: id, outcome: { case: "charge", value: { costNanos: 2n ** 63n - 1n } } },
      ],
    });
    expect((await admitOne(one, { keyId: id })).refused?.error?.message).toContain("It is closed");
    expect(one.log.join("\n")).toContain("above what was held");
    const again = await one.admin.putBudget({ ...budget, limit: 2n * 10n ** 15n }, one.asAdmin);
    expect(again.budget).toMatchObject({ id: first.budget?.id ?? "", closed: false, spent: 10n ** 15n });
    expect((await admitOne(one, { keyId: id, cost: 5n })).admitted).toBe(true);
    expect((await admitOne(one, { keyId: id, cost: 10n ** 15n })).admitted).toBe(false);
  });

  test("an expired key is told that it expired", async () => {
    const { key } = await one.admin.createKey({ name: "k", expiresAtMs: BigInt(Date.now() + 400) }, one.asAdmin);
    expect((await admitOne(one, { keyId: key?.id ?? "" })).admitted).toBe(true);
    await expect
      .poll(async () => (await admitOne(one, { keyId: key?.id ?? "" })).refused?.error?.message)
      .toBe("This key has expired.");
  });
});

test("the same over the network, where watch streams do not hold up the end", async () => {
  const served = await replica(postgres.url);
  const server = await serveRoutes(served.service.routes, { listen: { host: "127.0.0.1", port: 0 } });
  await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${server.port}` });
  const admin = peers.client(policy.PolicyAdminService);
  const client = peers.client(policy.PolicyService);
  const { key } = await admin.createKey({ name: "k" }, one.asAdmin);
  const keyId = key?.id ?? "";
  const { verdicts } = await client.admitBatch({
    owner: "o",
    admissions: [{ requestId: randomUUID(), keyId, model: "fast", bound: { tokens: 1n } }],
  });
  // The soft budget that another test put on the workspace is charged.
  expect(verdicts[0]?.verdict.case).toBe("admitted");
  expect(await reasonOf(admin.listKeys({}, bearer("wrong")))).toBe("invalid_key");
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { event } of client.watch({})) seen.push(event.case ?? "");
  })();
  await expect.poll(() => seen).toContain("beat");
  const begin = performance.now();
  served.service.endWatches();
  expect(await reasonOf(watching)).toBe("shutting_down");
  await server.close(10_000);
  await served[Symbol.asyncDispose]();
  expect(performance.now() - begin).toBeLessThan(5_000);
});
