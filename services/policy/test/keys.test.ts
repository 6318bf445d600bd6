import { createHash, randomUUID } from "node:crypto";
import { policy } from "@weir/contracts";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RIGHTS } from "../src/domain/authority.ts";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";
import { WatchClient } from "./watch-client.ts";

let postgres: BackingPostgres;
let one: Replica;
let other: Replica;
beforeAll(async () => {
  postgres = await startPostgres();
  one = await replica(postgres.url);
  other = await replica(postgres.url);
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { BudgetUnit, BudgetPeriod, Scope } = policy;
const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

interface Made {
  readonly id: string;
  readonly secret: string;
}
async function newKey(asked: Parameters<Replica["admin"]["createKey"]>[0] = {}): Promise<Made> {
  const { key, secret } = await one.admin.createKey({ name: "k", ...asked }, one.asAdmin);
  return { id: key?.id ?? "", secret };
}
async function newWorkspace(rules = {}): Promise<string> {
  const name = `w-${randomUUID().slice(0, 8)}`;
  await one.admin.createWorkspace({ name, rules }, one.asAdmin);
  return name;
}
const budgetOn = (kind: "key" | "project", value: string, limit: bigint) => ({
  place: { place: { case: kind, value } },
  unit: BudgetUnit.NANO_USD,
  period: BudgetPeriod.TOTAL,
  limit,
  hard: true,
});
/** All keys as a watcher of the other replica knows them. */
async function watched(keyId: string) {
  await using watcher = new WatchClient(other);
  await expect.poll(() => watcher.complete).toBe(true);
  return watcher.keys.get(keyId);
}

test("every method of the service stands in the table of rights, and nothing else does", () => {
  expect(Object.keys(RIGHTS).toSorted()).toEqual(policy.PolicyAdminService.methods.map(({ name }) => name).toSorted());
});

describe("rotation", () => {
  test("gives a new text to the same key; both are told to watchers, the old one with its end", async () => {
    const { id, secret } = await newKey({ rules: { maxOutputTokens: 7 } });
    const before = Date.now();
    const rotated = await one.admin.rotateKey({ keyId: id, overlapMs: 60_000n }, one.asAdmin);
    expect(rotated.secret).toMatch(/^wk_/);
    expect(rotated.key).toMatchObject({ id, rules: { maxOutputTokens: 7 } });
    expect(rotated.key?.retiredTexts.map(({ prefix }) => prefix)).toEqual([secret.slice(0, 8)]);
    await expect.poll(async () => hex((await watched(id))?.hash ?? new Uint8Array())).toBe(sha256(rotated.secret));
    const [old] = (await watched(id))?.retiredSecrets ?? [];
    expect(hex(old?.hash ?? new Uint8Array())).toBe(sha256(secret));
    expect(Number(old?.expiresAtMs)).toBeGreaterThanOrEqual(before + 60_000);
    expect(Number(old?.expiresAtMs)).toBeLessThan(Date.now() + 61_000);
  });

  test("what the key spent goes on counting", async () => {
    const { id } = await newKey();
    await one.admin.putBudget(budgetOn("key", id, 100n), one.asAdmin);
    expect((await admitOne(one, { keyId: id, cost: 60n })).admitted).toBe(true);
    await one.admin.rotateKey({ keyId: id, overlapMs: 0n }, one.asAdmin);
    expect((await admitOne(one, { keyId: id, cost: 60n })).admitted).toBe(false);
    expect((await admitOne(one, { keyId: id, cost: 40n })).admitted).toBe(true);
  });

  test("an admin text works in its overlap and not after; a shorter overlap ends the older texts, too", async () => {
    const first = await newKey({ scopes: [Scope.READ] });
    const lists = (secret: string) => reasonOf(one.admin.listKeys({}, bearer(secret)));
    const second = await one.admin.rotateKey({ keyId: first.id, overlapMs: 3_600_000n }, one.asAdmin);
    expect([await lists(first.secret), await lists(second.secret)]).toEqual(["none", "none"]);
    const third = await one.admin.rotateKey({ keyId: first.id, overlapMs: 400n }, one.asAdmin);
    await expect.poll(() => lists(second.secret), { timeout: 10_000 }).toBe("expired_key");
    expect([await lists(first.secret), await lists(third.secret)]).toEqual(["expired_key", "none"]);
    const fourth = await one.admin.rotateKey({ keyId: first.id }, one.asAdmin);
    expect([await lists(third.secret), await lists(fourth.secret)]).toEqual(["expired_key", "none"]);
  });

  test("the configured first key does not come back with a text that was taken from it", async () => {
    await using own = await startPostgres();
    const { Secret } = await import("@weir/kernel");
    const config = { bootstrapKey: new Secret("a-configured-first-key") };
    await using first = await replica(own.url, { config });
    const { keys } = await first.admin.listKeys({}, first.asAdmin);
    await first.admin.rotateKey({ keyId: keys[0]?.id ?? "" }, first.asAdmin);
    await using again = await replica(own.url, { config });
    expect(await reasonOf(again.admin.listKeys({}, bearer("a-configured-first-key")))).toBe("expired_key");
    expect((await again.admin.listKeys({}, again.asAdmin)).keys).toHaveLength(1);
  });
});

describe("update", () => {
  test("changes what is given and leaves the rest", async () => {
    const { id } = await newKey({ rules: { allowedModels: ["a"] }, expiresAtMs: BigInt(Date.now() + 60_000) });
    const renamed = await one.admin.updateKey({ keyId: id, name: "new" }, one.asAdmin);
    expect(renamed.key).toMatchObject({ name: "new", rules: { allowedModels: ["a"] }, scopes: [Scope.INFERENCE] });
    expect(renamed.key?.expiresAtMs).toBeGreaterThan(0n);
    const changed = await one.admin.updateKey(
      { keyId: id, expiresAtMs: 0n, rules: { maxOutputTokens: 5 }, scopes: [Scope.READ] },
      one.asAdmin,
    );
    expect(changed.key).toMatchObject({ name: "new", expiresAtMs: 0n, scopes: [Scope.READ] });
    expect(changed.key?.rules).toMatchObject({ allowedModels: [], maxOutputTokens: 5 });
    await expect.poll(async () => (await watched(id))?.rules?.maxOutputTokens).toBe(5);
    expect(await reasonOf(one.admin.updateKey({ keyId: id, expiresAtMs: 5n }, one.asAdmin))).toBe("invalid_request");
  });

  test("an expiry that passed is enforced without another word", async () => {
    const { id } = await newKey();
    await one.admin.updateKey({ keyId: id, expiresAtMs: BigInt(Date.now() + 300) }, one.asAdmin);
    await expect
      .poll(async () => (await admitOne(other, { keyId: id })).refused?.error?.message)
      .toBe("This key has expired.");
  });
});

describe("revocation", () => {
  test("tells watchers whether running requests end, also those who come later", async () => {
    const [gone, ended] = [await newKey(), await newKey()];
    await using watcher = new WatchClient(other);
    await expect.poll(() => watcher.keys.has(ended.id)).toBe(true);
    await one.admin.revokeKey({ keyId: gone.id }, one.asAdmin);
    await one.admin.revokeKey({ keyId: ended.id, endRequests: true }, one.asAdmin);
    await expect.poll(() => watcher.removed.size).toBeGreaterThanOrEqual(2);
    expect(watcher.removed.get(gone.id)).toBe(false);
    expect(watcher.removed.get(ended.id)).toBe(true);
    await using late = new WatchClient(other);
    await expect.poll(() => late.complete).toBe(true);
    expect(late.ended).toContain(ended.id);
    expect(late.ended).not.toContain(gone.id);
    // Who let them run may end them afterwards.
    await one.admin.revokeKey({ keyId: gone.id, endRequests: true }, one.asAdmin);
    await expect.poll(() => watcher.removed.get(gone.id)).toBe(true);
  });
});

describe("when a key was last used", () => {
  test("is told by callers, written together, and never goes back", async () => {
    const [used, unused] = [await newKey(), await newKey()];
    const atMs = BigInt(Date.now() - 5_000);
    await one.policy.reportUse({
      uses: [
        { keyId: used.id, atMs },
        { keyId: randomUUID(), atMs },
      ],
    });
    const lastUsed = async (id: string) => (await one.admin.getKey({ keyId: id }, one.asAdmin)).key?.lastUsedAtMs;
    expect(await lastUsed(used.id)).toBe(0n);
    await expect.poll(() => lastUsed(used.id), { timeout: 30_000, interval: 500 }).toBe(atMs);
    expect(await lastUsed(unused.id)).toBe(0n);
    // An older word, and what an ending replica still has.
    const third = await replica(postgres.url);
    await third.policy.reportUse({
      uses: [
        { keyId: used.id, atMs: atMs - 9n },
        { keyId: unused.id, atMs },
      ],
    });
    await third[Symbol.asyncDispose]();
    expect([await lastUsed(used.id), await lastUsed(unused.id)]).toEqual([atMs, atMs]);
  }, 60_000);
});

describe("an administering key", () => {
  const admin = async (workspace: string, more: object = {}) =>
    bearer((await newKey({ workspace, scopes: [Scope.ADMIN, Scope.INFERENCE], ...more })).secret);

  test("does not take over, change or end keys beyond its own rights", async () => {
    const workspace = await newWorkspace();
    const as = await admin(workspace, { rules: { maxOutputTokens: 50 } });
    const wide = await newKey({ workspace });
    const narrow = await newKey({ workspace, rules: { maxOutputTokens: 10 } });
    const billing = await newKey({ workspace, scopes: [Scope.BILLING] });
    const above = await newKey({ workspace, scopes: [Scope.ORGANIZATION_ADMIN] });
    const rotate = (keyId: string) => reasonOf(one.admin.rotateKey({ keyId }, as));
    expect(await rotate(narrow.id)).toBe("none");
    expect(await rotate(wide.id)).toBe("permission_denied");
    expect(await rotate(billing.id)).toBe("permission_denied");
    expect(await rotate(above.id)).toBe("permission_denied");
    expect(await reasonOf(one.admin.revokeKey({ keyId: above.id }, as))).toBe("permission_denied");
    const scopes = [Scope.INFERENCE, Scope.BILLING];
    expect(await reasonOf(one.admin.updateKey({ keyId: narrow.id, scopes }, as))).toBe("permission_denied");
    const widened = await one.admin.updateKey({ keyId: narrow.id, rules: {} }, as);
    expect(widened.key?.rules?.maxOutputTokens).toBe(50);
    // Narrowing needs no more than managing.
    expect(await reasonOf(one.admin.updateKey({ keyId: wide.id, rules: { maxOutputTokens: 1 } }, as))).toBe("none");
    const elsewhere = await newKey();
    expect(await rotate(elsewhere.id)).toBe("not_found");
  });

  test("gets around no budget of its path: not by a key elsewhere, nor by one that changes the budget", async () => {
    const workspace = await newWorkspace();
    for (const name of ["poor", "rich"]) await one.admin.createProject({ workspace, name }, one.asAdmin);
    const as = await admin(workspace, { project: "poor" });
    await one.admin.putBudget(budgetOn("project", `${workspace}/poor`, 5n), one.asAdmin);
    expect(await reasonOf(one.admin.createKey({ name: "k", project: "rich" }, as))).toBe("permission_denied");
    expect(await reasonOf(one.admin.createKey({ name: "k", project: "poor" }, as))).toBe("none");
    const helper = await one.admin.createKey({ name: "k", project: "rich", scopes: [Scope.ADMIN] }, as);
    const raised = budgetOn("project", "poor", 500n);
    expect(await reasonOf(one.admin.putBudget(raised, as))).toBe("permission_denied");
    expect(await reasonOf(one.admin.putBudget(raised, bearer(helper.secret)))).toBe("permission_denied");
    const other_ = await newKey({ workspace, project: "rich" });
    // A key that exists is no way around it either.
    expect(await reasonOf(one.admin.rotateKey({ keyId: other_.id }, as))).toBe("permission_denied");
    expect(await reasonOf(one.admin.updateKey({ keyId: helper.key?.id ?? "", scopes: [Scope.INFERENCE] }, as))).toBe(
      "permission_denied",
    );
    const billing = await newKey({ workspace, project: "poor", scopes: [Scope.BILLING] });
    expect(await reasonOf(one.admin.putBudget(raised, bearer(billing.secret)))).toBe("none");
    expect(await reasonOf(one.admin.createKey({ name: "k" }, bearer(billing.secret)))).toBe("permission_denied");
  });

  test("of an organization acts in all its workspaces and in no other's", async () => {
    const organization = `o-${randomUUID().slice(0, 8)}`;
    await one.admin.createOrganization({ name: organization }, one.asAdmin);
    const [first, second] = [`${organization}-1`, `${organization}-2`];
    await one.admin.createWorkspace({ name: first, organization, rules: { allowedModels: ["a"] } }, one.asAdmin);
    const scopes = [Scope.ORGANIZATION_ADMIN, Scope.INFERENCE];
    const as = bearer((await newKey({ workspace: first, scopes })).secret);
    expect(await reasonOf(one.admin.createWorkspace({ name: second }, as))).toBe("none");
    const { workspaces } = await one.admin.listWorkspaces({}, as);
    expect(workspaces.map(({ name }) => name)).toEqual([first, second]);
    const made = await one.admin.createKey({ workspace: second, name: "k" }, as);
    expect(made.key?.rules?.allowedModels).toEqual([]);
    expect(await reasonOf(one.admin.putBudget(budgetOn("project", `${second}/default`, 5n), as))).toBe("none");
    expect(await reasonOf(one.admin.createKey({ workspace: "default", name: "k" }, as))).toBe("not_found");
    expect(await reasonOf(one.admin.createWorkspace({ name: "x", organization: "default" }, as))).toBe("not_found");
    const place = { place: { case: "organization" as const, value: organization } };
    const terms = { unit: BudgetUnit.TOKENS, period: BudgetPeriod.DAY, limit: 5n };
    expect(await reasonOf(one.admin.putBudget({ place, ...terms }, as))).toBe("permission_denied");
  });

  test("a viewer sees its workspace and changes nothing", async () => {
    const workspace = await newWorkspace();
    const viewer = await newKey({ workspace, scopes: [Scope.READ] });
    const as = bearer(viewer.secret);
    expect((await one.admin.listKeys({}, as)).keys.map(({ id }) => id)).toEqual([viewer.id]);
    expect((await one.admin.getKey({ keyId: viewer.id }, as)).key?.name).toBe("k");
    expect(await reasonOf(one.admin.getKey({ keyId: (await newKey()).id }, as))).toBe("not_found");
    const reasons = await Promise.all(
      [
        one.admin.createKey({ name: "k" }, as),
        one.admin.rotateKey({ keyId: viewer.id }, as),
        one.admin.revokeKey({ keyId: viewer.id }, as),
        one.admin.createProject({ workspace, name: "p" }, as),
      ].map(reasonOf),
    );
    expect(new Set(reasons)).toEqual(new Set(["permission_denied"]));
  });
});

test("no text of a key is in the database", async () => {
  const { id, secret } = await newKey();
  const rotated = await one.admin.rotateKey({ keyId: id, overlapMs: 60_000n }, one.asAdmin);
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ all: string }>(
      "select (select json_agg(k)::text from policy.api_key k) || (select json_agg(r)::text from policy.retired_secret r) as all",
    );
    for (const text of [secret, rotated.secret]) expect(rows[0]?.all).not.toContain(text.slice(3, -6));
  } finally {
    await client.end();
  }
});
