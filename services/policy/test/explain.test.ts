import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { policy } from "@weir/contracts";
import { type BackingPostgres, startPostgres, startRedis } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";

let postgres: BackingPostgres;
let redis: Awaited<ReturnType<typeof startRedis>>;
let one: Replica;
beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  one = await replica(postgres.url, { redisUrl: redis.url });
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await Promise.all([postgres[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
});

const { BudgetPeriod, BudgetSubject, BudgetUnit, LimitSubject, LimitUnit, Scope } = policy;
type Asked = MessageInitShape<typeof policy.ExplainRequestSchema>;
type Rules = MessageInitShape<typeof policy.RulesSchema>;

let workspace = "";
let keyId = "";
beforeEach(async () => {
  const made = await one.admin.createWorkspace({ name: `w-${randomUUID().slice(0, 8)}` }, one.asAdmin);
  workspace = made.workspace?.id ?? "";
  const { key } = await one.admin.createKey({ workspace, name: "ci" }, one.asAdmin);
  keyId = key?.id ?? "";
});
const explain = (some: Asked = {}) => one.admin.explain({ keyId, model: "fast", ...some }, one.asAdmin);
const here = () => ({ place: { case: "workspace" as const, value: workspace } });
const onTag = (name: string, value: string) => ({ place: { case: "tag" as const, value: { workspace, name, value } } });
const rules = (place: MessageInitShape<typeof policy.PlaceSchema>, given: Rules) =>
  one.admin.putRules({ place, rules: given }, one.asAdmin);
const candidate = (provider: string, region: string, costNanos: bigint) => ({
  provider,
  model: "m",
  region,
  bound: { costNanos, tokens: 30n },
});

describe("rules", () => {
  test("each level says what it says, and the first that refuses is named", async () => {
    await rules(here(), { deniedModels: ["dear*"] });
    await rules({ place: { case: "key", value: keyId } }, { denyTools: true, fixedTags: ["team=search"] });
    await rules(onTag("team", "search"), { denyStreaming: true, maxInputTokens: 10 });
    expect(await explain()).toMatchObject({ admitted: true, tags: { team: "search" } });
    const { admitted, refused, levels } = await explain({ stream: true, tools: true, inputTokens: 11 });
    expect(admitted).toBe(false);
    expect(refused?.rule).toBe("rules key/ci deny_tools");
    expect(levels.map(({ level, refusedBy }) => [level.replace(/w-\w+/, "w"), refusedBy])).toEqual([
      ["workspace/w", ""],
      ["key/ci", "deny_tools"],
      ["tag/team=search", "deny_streaming"],
    ]);
    expect((await explain({ model: "dearest" })).refused).toMatchObject({
      rule: expect.stringMatching(/^rules workspace.* denied_models$/),
    });
    expect((await explain({ tags: { team: "sales" } })).refused?.rule).toBe("rules key/ci fixed_tags");
    expect((await explain({ inputTokens: 11 })).refused?.rule).toBe("rules tag/team=search max_input_tokens");
  });

  test("levels that let a request in each, and together do not", async () => {
    await rules(here(), { allowedProviders: ["a"] });
    await rules({ place: { case: "key", value: keyId } }, { allowedProviders: ["b"] });
    expect((await explain()).refused?.rule).toBe("rules of all levels together allowed_providers");
  });

  test("of who may serve it, those that may not are left out, with the reason", async () => {
    await rules(here(), { deniedProviders: ["x"], allowedRegions: ["eu*"] });
    await one.admin.putBudget(
      { place: here(), unit: BudgetUnit.NANO_USD, period: BudgetPeriod.DAY, limit: 100n, hard: true },
      one.asAdmin,
    );
    const candidates = [
      candidate("x", "eu", 90n),
      candidate("y", "us", 80n),
      candidate("z", "", 70n),
      candidate("e", "eu-1", 20n),
    ];
    const found = await explain({ candidates });
    expect(found.candidates.map(({ allowed, reason }) => (allowed ? "" : reason))).toEqual([
      "its provider is not allowed",
      "its region is not allowed",
      "its region is not stated",
      "",
    ]);
    expect(found).toMatchObject({ admitted: true, hold: { costNanos: 20n, tokens: 30n } });
    expect((await explain({ candidates: candidates.slice(0, 3) })).refused?.rule).toBe("rules providers and regions");
  });

  test("a key without the scope, and one that expired", async () => {
    const reader = await one.admin.createKey({ workspace, name: "r", scopes: [Scope.READ] }, one.asAdmin);
    expect((await explain({ keyId: reader.key?.id ?? "" })).refused?.rule).toBe("key scopes");
  });
});

describe("limits and budgets", () => {
  test("what is left is what the next request finds, and asking takes nothing", async () => {
    const terms = { unit: LimitUnit.REQUESTS, per: LimitSubject.KEY, amount: 2n, windowMs: 86_400_000n, burst: 1n };
    await one.admin.putLimit({ place: here(), ...terms }, one.asAdmin);
    await one.admin.putBudget(
      { place: here(), unit: BudgetUnit.NANO_USD, period: BudgetPeriod.MONTH, limit: 100n, hard: true },
      one.asAdmin,
    );
    await one.admin.putBudget(
      { place: onTag("team", "a"), unit: BudgetUnit.TOKENS, period: BudgetPeriod.TOTAL, limit: 50n, hard: true },
      one.asAdmin,
    );
    const asked = { tags: { team: "a" }, inputTokens: 20, outputTokens: 10, candidates: [candidate("p", "", 60n)] };
    for (let again = 0; again < 3; again++) {
      const { admitted, limits, budgets } = await explain(asked);
      expect(admitted).toBe(true);
      expect(limits).toMatchObject([{ takes: 1n, refuses: false, state: { limit: 2n, remaining: 2n } }]);
      expect(budgets).toMatchObject([
        { takes: 60n, refuses: false, state: { limit: 100n, held: 0n, spent: 0n, hard: true } },
        { takes: 30n, refuses: false, state: { limit: 50n, periodEndMs: 0n } },
      ]);
      expect(Number(budgets[0]?.state?.periodEndMs)).toBeGreaterThan(Date.now());
    }
    expect(await admitOne(one, { keyId, cost: 60n, tokens: 30, tags: { team: "a" } })).toMatchObject({ held: true });
    const second = await explain(asked);
    expect(second.limits).toMatchObject([{ state: { remaining: 1n }, refuses: false }]);
    expect(second.budgets).toMatchObject([
      { budget: expect.stringMatching(/^budget workspace/), refuses: true, state: { held: 60n } },
      { budget: "budget tag/team=a total tokens", refuses: false, state: { held: 30n } },
    ]);
    expect(second.refused?.rule).toBe(second.budgets[0]?.budget);
    const real = await admitOne(one, { keyId, cost: 60n, tokens: 30, tags: { team: "a" } });
    expect(real.refused).toMatchObject({
      rule: second.refused?.rule,
      error: { message: second.refused?.error?.message },
    });
    expect(await admitOne(one, { keyId, cost: 1n })).toMatchObject({ held: true });
    const third = await explain(asked);
    expect(third.refused?.rule).toBe(third.limits[0]?.limit);
    expect(third.limits).toMatchObject([{ refuses: true }]);
  });

  test("a step of a run is held against what is left of that run; what names no run, against none", async () => {
    await one.admin.putBudget(
      {
        place: here(),
        unit: BudgetUnit.REQUESTS,
        period: BudgetPeriod.TOTAL,
        per: BudgetSubject.RUN,
        limit: 2n,
        hard: true,
      },
      one.asAdmin,
    );
    for (const spent of [0n, 1n, 2n]) {
      const { admitted, budgets } = await explain({ runId: "one" });
      expect(admitted).toBe(spent < 2n);
      expect(budgets).toMatchObject([{ budget: expect.stringMatching(/per run$/), state: { held: spent } }]);
      if (spent < 2n) expect(await admitOne(one, { keyId, runId: "one" })).toMatchObject({ held: true });
    }
    expect((await explain({ runId: "another" })).admitted).toBe(true);
    expect(await explain()).toMatchObject({ admitted: true, budgets: [] });
  });

  test("what nobody can price is not held against money", async () => {
    await one.admin.putBudget(
      { place: here(), unit: BudgetUnit.NANO_USD, period: BudgetPeriod.DAY, limit: 100n, hard: false },
      one.asAdmin,
    );
    expect((await explain()).refused).toMatchObject({ rule: expect.stringMatching(/^budget workspace.* usd$/) });
    const unpriced = { provider: "p", model: "m", region: "" };
    const found = await explain({ candidates: [unpriced] });
    expect([found.admitted, found.hold]).toEqual([false, undefined]);
  });

  test("the ledger's entries and sums agree afterwards", async () => {
    await using client = await postgresClient();
    await client.query("set search_path to policy");
    expect((await client.query("select * from verify_ledger()")).rows).toEqual([]);
    const left = await client.query("select from hold h join owner o on o.id = h.owner_id where o.name = 'explain'");
    expect(left.rowCount).toBe(0);
  });
});

test("who may not see the key is not told that it is there", async () => {
  const other = await one.admin.createWorkspace({ name: `w-${randomUUID().slice(0, 8)}` }, one.asAdmin);
  const stranger = await one.admin.createKey(
    { workspace: other.workspace?.id ?? "", name: "s", scopes: [Scope.READ] },
    one.asAdmin,
  );
  const asStranger = { headers: { authorization: `Bearer ${stranger.secret}` } };
  expect(await reasonOf(one.admin.explain({ keyId, model: "m" }, asStranger))).toBe("not_found");
  expect(await reasonOf(one.admin.explain({ keyId: randomUUID(), model: "m" }, one.asAdmin))).toBe("not_found");
});

async function postgresClient() {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
