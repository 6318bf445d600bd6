import { randomUUID } from "node:crypto";
import { policy } from "@weir/contracts";
import { NO_RULES } from "@weir/rules";
import { Secret } from "@weir/kernel";
import { type BackingPostgres, type BackingService, startPostgres, startRedis } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isWellFormed } from "../src/domain/api-key.ts";
import { admitOne, reasonOf, type Replica, replica } from "./service-fixture.ts";
import { WatchClient } from "./watch-client.ts";

let postgres: BackingPostgres;
let redis: BackingService;
let databaseUrl: string;
let a: Replica;
let b: Replica;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  databaseUrl = await postgres.freshDatabase();
  // At once: both migrate and seed, one of them makes the key.
  [a, b] = await Promise.all([
    replica(databaseUrl, { redisUrl: redis.url }),
    replica(databaseUrl, { redisUrl: redis.url }),
  ]);
});
afterAll(async () => {
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { BudgetUnit, BudgetPeriod, LimitSubject, LimitUnit, Scope, PayloadChoice } = policy;

async function newWorkspace(): Promise<{ id: string; name: string }> {
  const { workspace } = await a.admin.createWorkspace({ name: `w-${randomUUID().slice(0, 8)}` }, a.asAdmin);
  return { id: workspace?.id ?? "", name: workspace?.name ?? "" };
}
async function newKey(workspace: string, scopes: policy.Scope[] = []): Promise<{ id: string; secret: string }> {
  const { key, secret } = await a.admin.createKey({ workspace, name: "test", scopes }, a.asAdmin);
  return { id: key?.id ?? "", secret };
}

describe("the first start", () => {
  test("one of two replicas makes a key and shows it", () => {
    const secrets = [a.service.bootstrapSecret, b.service.bootstrapSecret].filter((secret) => secret !== undefined);
    expect(secrets).toHaveLength(1);
    expect(isWellFormed(secrets[0] ?? "")).toBe(true);
    expect([...a.log, ...b.log].join("\n")).not.toContain(secrets[0]);
    expect(a.service.notReady()).toBe(undefined);
  });

  test("a configured key is taken, workspaces are seeded once and belong to the admin API afterwards", async () => {
    const url = await postgres.freshDatabase();
    const bootstrapKey = new Secret("operator-chosen-key");
    const seed = (limit: bigint): Map<string, never> =>
      new Map([
        [
          "team",
          {
            name: "team",
            payloads: "full",
            rules: { ...NO_RULES, allowedModels: ["fast"], maxOutputTokens: 100 },
            budgets: [{ unit: "nano-usd", period: "month", limit, hard: true }],
            limits: [{ per: "key", unit: "requests", amount: 60, windowMs: 60_000, burst: 6, failClosed: false }],
          } as never,
        ],
      ]);
    for (const limit of [5n, 7n]) {
      await using one = await replica(url, { config: { bootstrapKey, workspaces: seed(limit) } });
      expect(one.service.bootstrapSecret).toBe(undefined);
      const asKey = { headers: { authorization: `Bearer ${bootstrapKey.reveal()}` } };
      const { keys } = await one.admin.listKeys({}, asKey);
      expect(keys).toMatchObject([
        { name: "bootstrap", prefix: "", scopes: [Scope.INFERENCE, Scope.READ, Scope.ADMIN] },
      ]);
      const { budgets } = await one.admin.listBudgets({ workspace: "team" }, one.asAdmin);
      expect(budgets).toMatchObject([{ limit: 5n, hard: true, period: BudgetPeriod.MONTH }]);
      const { workspaces } = await one.admin.listWorkspaces({}, one.asAdmin);
      expect(workspaces.map(({ name, payloadChoice }) => [name, payloadChoice])).toEqual([
        ["default", PayloadChoice.HASHES],
        ["team", PayloadChoice.FULL],
      ]);
    }
  });

  test("a workspace may keep redacted texts, and go back to hashes", async () => {
    const workspace = await newWorkspace();
    const choiceOf = async (): Promise<policy.PayloadChoice | undefined> => {
      const { workspaces } = await a.admin.listWorkspaces({}, a.asAdmin);
      return workspaces.find(({ name }) => name === workspace.name)?.payloadChoice;
    };
    for (const payloadChoice of [PayloadChoice.REDACTED, PayloadChoice.HASHES]) {
      await a.admin.updateWorkspace({ workspace: workspace.name, payloadChoice }, a.asAdmin);
      expect(await choiceOf()).toBe(payloadChoice);
    }
  });

  test("a short key is refused", async () => {
    const config = { bootstrapKey: new Secret("fifteen-letters") };
    await expect(replica(databaseUrl, { config })).rejects.toThrow(/at least 16 characters/);
  });
});

describe("admission", () => {
  test("holds on all budgets of the path, names the one that refuses, and settles", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "workspace", value: workspace.name } } as const;
    const terms = { unit: BudgetUnit.NANO_USD, period: BudgetPeriod.MONTH, limit: 2_000_000_000n, hard: true };
    await a.admin.putBudget({ place, ...terms }, a.asAdmin);
    const first = await admitOne(a, { keyId: key.id, cost: 1_500_000_000n });
    expect(first).toMatchObject({ admitted: true, held: true });
    const second = await admitOne(a, { keyId: key.id, cost: 750_000_000n });
    expect(second.refused).toMatchObject({ rule: `budget workspace/${workspace.name} month usd` });
    expect(second.refused?.error?.message).toContain("may take 0.75 USD, and 0.5 USD are left");
    const settled = await a.policy.settleBatch({
      owner: "owner",
      settlements: [
        {
          requestId: first.requestId,
          attempt: 1,
          keyId: key.id,
          outcome: { case: "charge", value: { costNanos: 1n } },
        },
      ],
    });
    expect(settled.results).toEqual([policy.SettlementResult.SETTLED]);
    expect((await admitOne(a, { keyId: key.id, cost: 1_999_999_999n })).admitted).toBe(true);
    const { budgets } = await b.admin.listBudgets({ workspace: workspace.id }, b.asAdmin);
    expect(budgets).toMatchObject([{ spent: 1n, held: 1_999_999_999n, limit: 2_000_000_000n, closed: false }]);
  });

  test("a further attempt is held where the first is, or refused", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "key", value: key.id } } as const;
    await a.admin.putBudget(
      { place, unit: BudgetUnit.TOKENS, period: BudgetPeriod.TOTAL, limit: 25n, hard: true },
      a.asAdmin,
    );
    const { requestId } = await admitOne(a, { keyId: key.id, tokens: 10 });
    const extend = (attempt: number) =>
      a.policy.extend({ owner: "owner", requestId, attempt, bound: { tokens: 10n }, keyId: key.id });
    expect((await extend(2)).verdict).toMatchObject({ case: "admitted", value: { held: true } });
    expect((await extend(2)).verdict).toMatchObject({ case: "admitted", value: { held: true } });
    expect((await extend(3)).verdict).toMatchObject({
      case: "refused",
      value: { rule: "budget key/test total tokens" },
    });
  });

  test("a key on whose path nothing stands is free; an unknown one is not", async () => {
    const key = await newKey((await newWorkspace()).name);
    expect(await admitOne(b, { keyId: key.id, cost: 5n })).toMatchObject({ admitted: true, held: false });
    expect((await admitOne(a, { keyId: randomUUID() })).refused?.error?.message).toBe("There is no such key.");
  });

  test("recovery voids what has no intent, charges what has, and applies outcomes", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "workspace", value: workspace.id } } as const;
    await a.admin.putBudget(
      { place, unit: BudgetUnit.NANO_USD, period: BudgetPeriod.TOTAL, limit: 1000n, hard: true },
      a.asAdmin,
    );
    const owner = `ingress/0/${randomUUID()}`;
    const [lost, open, done] = [
      await admitOne(a, { keyId: key.id, cost: 100n }, owner),
      await admitOne(a, { keyId: key.id, cost: 100n }, owner),
      await admitOne(a, { keyId: key.id, cost: 100n }, owner),
    ];
    expect(lost.held && open.held && done.held).toBe(true);
    const request = {
      deadOwner: owner,
      open: [{ requestId: open.requestId }],
      settlements: [
        {
          requestId: done.requestId,
          attempt: 1,
          keyId: key.id,
          outcome: { case: "charge", value: { costNanos: 7n } } as const,
        },
      ],
    };
    expect(await b.policy.recover(request)).toMatchObject({ voided: 1, chargedAtBound: 1, settled: 1 });
    expect(await b.policy.recover(request)).toMatchObject({ voided: 0, chargedAtBound: 0, settled: 0 });
    const { budgets } = await a.admin.listBudgets({ workspace: workspace.id }, a.asAdmin);
    expect(budgets).toMatchObject([{ held: 0n, spent: 107n }]);
    expect((await admitOne(a, { keyId: key.id, cost: 1n }, owner)).admitted).toBe(false);
  });
});

describe("rate limits", () => {
  test("count over replicas, say when to come back, and are given back when a budget refuses", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "workspace", value: workspace.name } } as const;
    const limit = { place, per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, windowMs: 60_000n };
    const put = await a.admin.putLimit({ ...limit, amount: 30n }, a.asAdmin);
    expect(put.limit).toMatchObject({ amount: 30n, burst: 3n, failClosed: false });
    const terms = { place, unit: BudgetUnit.NANO_USD, period: BudgetPeriod.TOTAL, limit: 0n, hard: true };
    await a.admin.putBudget(terms, a.asAdmin);
    for (let i = 0; i < 8; i++) {
      expect((await admitOne(a, { keyId: key.id, cost: 1n })).refused?.rule).toMatch(/^budget/);
    }
    await a.admin.putBudget({ ...terms, limit: 100n }, a.asAdmin);
    // The other replica hears of all this within a second.
    await using watcher = new WatchClient(b);
    await expect.poll(() => watcher.keys.get(key.id)).toMatchObject({ hasHardBudget: true, hasLimit: true });
    const verdicts = [];
    for (let i = 0; i < 5; i++) verdicts.push(await admitOne(i % 2 === 0 ? a : b, { keyId: key.id, cost: 1n }));
    expect(verdicts.map(({ admitted }) => admitted)).toEqual([true, true, true, true, false]);
    const { refused, limits } = verdicts[4] ?? {};
    expect(refused?.rule).toBe(`limit workspace/${workspace.name} 30 requests per key in 60 s`);
    expect(refused?.error?.retryAfterMs).toBeGreaterThan(1000);
    expect(refused?.error?.retryAfterMs).toBeLessThanOrEqual(2000);
    expect(limits).toMatchObject([{ unit: "requests", limit: 30n, remaining: 0n }]);
  });

  test("the tightest is told first, tokens are corrected when it is settled", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "workspace", value: workspace.name } } as const;
    await a.admin.putLimit(
      { place, per: LimitSubject.WORKSPACE, unit: LimitUnit.REQUESTS, amount: 1000n, windowMs: 60_000n },
      a.asAdmin,
    );
    await a.admin.putLimit(
      { place, per: LimitSubject.END_USER, unit: LimitUnit.TOKENS, amount: 1000n, windowMs: 3_600_000n, burst: 999n },
      a.asAdmin,
    );
    const one = await admitOne(a, { keyId: key.id, tokens: 900, endUser: "ada" });
    expect(one.limits.map(({ unit }) => unit)).toEqual(["tokens", "requests"]);
    expect((await admitOne(a, { keyId: key.id, tokens: 900, endUser: "ada" })).admitted).toBe(false);
    expect((await admitOne(a, { keyId: key.id, tokens: 900, endUser: "bob" })).admitted).toBe(true);
    await a.policy.settleBatch({
      owner: "owner",
      settlements: [
        { requestId: one.requestId, attempt: 1, keyId: key.id, outcome: { case: "charge", value: { tokens: 50n } } },
      ],
    });
    expect((await admitOne(b, { keyId: key.id, tokens: 900, endUser: "ada" })).admitted).toBe(true);
    // What a first attempt used nobody knows; that a second one used nothing does not tell.
    const lost = await admitOne(a, { keyId: key.id, tokens: 900, endUser: "eve" });
    await a.policy.settleBatch({
      owner: "owner",
      settlements: [
        { requestId: lost.requestId, attempt: 1, keyId: key.id, outcome: { case: "atBound", value: {} } },
        { requestId: lost.requestId, attempt: 2, keyId: key.id, outcome: { case: "void", value: {} } },
      ],
    });
    expect((await admitOne(b, { keyId: key.id, tokens: 900, endUser: "eve" })).admitted).toBe(false);
  });

  test("a request that no waiting lets through is told so, and touches nothing", async () => {
    const workspace = await newWorkspace();
    const key = await newKey(workspace.name);
    const place = { place: { case: "workspace", value: workspace.name } } as const;
    await a.admin.putLimit(
      { place, per: LimitSubject.KEY, unit: LimitUnit.TOKENS, amount: 100n, windowMs: 60_000n },
      a.asAdmin,
    );
    const { refused } = await admitOne(a, { keyId: key.id, tokens: 4_000_000_000 });
    expect(refused?.error).toMatchObject({ retryAfterMs: 0 });
    expect((await admitOne(a, { keyId: key.id, tokens: 100 })).admitted).toBe(true);
  });

  test("while Redis is away a closed limit refuses at once and an open one counts here", async () => {
    await using own = await startRedis();
    await using one = await replica(databaseUrl, { redisUrl: own.url });
    const [open, closed] = [await newWorkspace(), await newWorkspace()];
    const [openKey, closedKey] = [await newKey(open.name), await newKey(closed.name)];
    const limit = { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 10n, windowMs: 3_600_000n };
    await a.admin.putLimit({ ...limit, place: { place: { case: "workspace", value: open.name } } }, a.asAdmin);
    await a.admin.putLimit(
      { ...limit, place: { place: { case: "workspace", value: closed.name } }, failClosed: true, burst: 9000n },
      a.asAdmin,
    );
    const message = async (keyId: string) => (await admitOne(one, { keyId })).refused?.error?.message ?? "admitted";
    await expect.poll(() => message(closedKey.id)).toBe("admitted");
    await own.pause();
    await expect.poll(() => message(closedKey.id)).toContain("cannot be checked");
    // It hangs; only the one that found out had to wait for it.
    const begin = performance.now();
    expect(await message(closedKey.id)).toContain("cannot be checked");
    expect(await message(openKey.id)).toBe("admitted");
    expect(await message(openKey.id)).toBe("admitted");
    expect(await message(openKey.id)).toContain("Too much");
    expect(performance.now() - begin).toBeLessThan(200);
    await own.resume();
    await expect.poll(() => message(closedKey.id), { timeout: 10_000 }).toBe("admitted");
  });
});

describe("Watch", () => {
  test("a key revoked at one replica is gone at the other within a second", async () => {
    const key = await newKey("default");
    await using watcher = new WatchClient(b);
    await expect.poll(() => watcher.complete && watcher.keys.has(key.id)).toBe(true);
    const begin = performance.now();
    await a.admin.revokeKey({ keyId: key.id }, a.asAdmin);
    await expect.poll(() => watcher.keys.has(key.id), { interval: 10, timeout: 10_000 }).toBe(false);
    expect(performance.now() - begin).toBeLessThan(1000);
    expect((await admitOne(b, { keyId: key.id })).admitted).toBe(false);
    expect(watcher.gaps).toBe(0);
  });

  test("tells everything first, then changes of each level, without a gap, and beats", async () => {
    const workspace = await newWorkspace();
    const keys = [await newKey(workspace.name), await newKey(workspace.name)];
    await using watcher = new WatchClient(b);
    await expect.poll(() => watcher.complete).toBe(true);
    const id = keys[1]?.id ?? "";
    expect(watcher.keys.get(id)).toMatchObject({
      hasBudget: false,
      hasLimit: false,
      payloadChoice: PayloadChoice.HASHES,
      workspace: workspace.name,
    });
    await a.admin.updateWorkspace(
      { workspace: workspace.name, payloadChoice: PayloadChoice.FULL, rules: { allowedModels: ["fast", "gpt-*"] } },
      a.asAdmin,
    );
    const place = { place: { case: "project", value: `${workspace.name}/default` } } as const;
    await a.admin.putBudget(
      { place, unit: BudgetUnit.REQUESTS, period: BudgetPeriod.DAY, limit: 5n, hard: false },
      a.asAdmin,
    );
    await a.admin.putLimit(
      { place, per: LimitSubject.MODEL, unit: LimitUnit.REQUESTS, amount: 5n, windowMs: 1000n },
      a.asAdmin,
    );
    const strict = await a.admin.createKey(
      { workspace: workspace.name, name: "strict", rules: { allowedModels: ["gpt-5", "other"], maxOutputTokens: 9 } },
      a.asAdmin,
    );
    await expect
      .poll(() => watcher.keys.get(strict.key?.id ?? ""))
      .toMatchObject({
        rules: { allowedModels: ["gpt-5"], maxOutputTokens: 9 },
        hasBudget: true,
        hasHardBudget: false,
        hasLimit: true,
      });
    expect(watcher.keys.get(id)).toMatchObject({ hasBudget: true, hasLimit: true, payloadChoice: PayloadChoice.FULL });
    const beats = () => watcher.messages.filter((message) => message === "beat").length;
    const before = beats();
    await expect.poll(beats).toBeGreaterThan(before + 2);
    expect(watcher.gaps).toBe(0);
  });

  test("resumes at the other replica from a version, also at a replica that was just started", async () => {
    const version = await (async () => {
      await using watcher = new WatchClient(a);
      await expect.poll(() => watcher.messages.includes("beat")).toBe(true);
      return watcher.version;
    })();
    const key = await newKey("default");
    await using fresh = await replica(databaseUrl, { redisUrl: redis.url });
    for (const other of [b, fresh]) {
      await using resumed = new WatchClient(other, version);
      await expect.poll(() => resumed.messages.includes("beat")).toBe(true);
      expect(resumed.messages.includes("snapshot")).toBe(false);
      expect([...resumed.keys.keys()]).toContain(key.id);
      expect(resumed.gaps).toBe(0);
    }
    await using unknown = new WatchClient(b, version + 1_000_000n);
    await expect.poll(() => unknown.complete).toBe(true);
  });

  test("many keys come in several messages", async () => {
    const workspace = await newWorkspace();
    // A few at a time: each waits for the directory's lock, and 300 that wait at once run out of time on a busy machine.
    const made: Awaited<ReturnType<typeof newKey>>[] = [];
    while (made.length < 300) {
      made.push(...(await Promise.all(Array.from({ length: 10 }, () => newKey(workspace.name)))));
    }
    await using watcher = new WatchClient(a);
    await expect.poll(() => watcher.complete, { timeout: 10_000 }).toBe(true);
    expect(watcher.messages.filter((message) => message === "snapshot").length).toBeGreaterThan(1);
    expect(made.every(({ id }) => watcher.keys.has(id))).toBe(true);
  });
});

describe("while Postgres is away", () => {
  test("keys without a hard budget go on, the others are refused, watchers hear of it instead of a beat, and all comes back by itself", async () => {
    await using own = await startPostgres();
    await using one = await replica(own.url);
    const at = { place: { case: "key" as const, value: "" } };
    const make = async (hard: boolean | undefined): Promise<string> => {
      const { key } = await one.admin.createKey({ name: "k" }, one.asAdmin);
      const place = { place: { ...at.place, value: key?.id ?? "" } };
      const terms = { unit: BudgetUnit.REQUESTS, period: BudgetPeriod.DAY, limit: 100n };
      if (hard !== undefined) await one.admin.putBudget({ place, ...terms, hard }, one.asAdmin);
      return key?.id ?? "";
    };
    const [hard, soft, free] = [await make(true), await make(false), await make(undefined)];
    await using watcher = new WatchClient(one);
    await expect.poll(() => watcher.messages.includes("beat")).toBe(true);
    await own.kill();
    expect((await admitOne(one, { keyId: hard })).refused?.error?.message).toBe("Budgets cannot be checked right now.");
    expect((await admitOne(one, { keyId: soft })).admitted).toBe(true);
    expect((await admitOne(one, { keyId: free })).admitted).toBe(true);
    await expect.poll(() => one.service.notReady(), { timeout: 5000 }).toMatch(/away/);
    await expect.poll(() => performance.now() - watcher.lastBeatMs, { timeout: 5000 }).toBeGreaterThan(1000);
    expect(await reasonOf(one.admin.listKeys({}, one.asAdmin))).toBe("policy_unavailable");
    // What this replica remembers may be old: nobody who comes now is told that it is the truth.
    await using late = new WatchClient(one);
    await expect.poll(() => late.messages.length, { timeout: 10_000 }).toBeGreaterThan(1);
    expect(new Set(late.messages)).toEqual(new Set(["storeAway"]));
    await expect.poll(() => watcher.storeAwayMs, { timeout: 10_000 }).toBeGreaterThan(1_500);
    await own.restart();
    await expect.poll(() => late.complete, { timeout: 15_000 }).toBe(true);
    await expect.poll(async () => (await admitOne(one, { keyId: hard })).admitted, { timeout: 15_000 }).toBe(true);
    await expect.poll(() => one.service.notReady(), { timeout: 15_000 }).toBe(undefined);
    const again = await one.admin.createKey({ name: "again" }, one.asAdmin);
    await expect.poll(() => watcher.keys.has(again.key?.id ?? ""), { timeout: 5000 }).toBe(true);
  });

  test("at the start, it waits and then begins", async () => {
    await using own = await startPostgres();
    await own.stop();
    await using one = await replica(own.url);
    expect(one.service.notReady()).toMatch(/not been reached/);
    await using watcher = new WatchClient(one);
    await expect.poll(() => watcher.storeAwayMs, { timeout: 10_000 }).toBeGreaterThan(0);
    const { refused } = await admitOne(one, { keyId: randomUUID() });
    expect(refused?.error?.message).toBe("This key cannot be checked right now.");
    await own.restart();
    await expect.poll(() => one.service.notReady(), { timeout: 15_000 }).toBe(undefined);
    expect(isWellFormed(one.service.bootstrapSecret ?? "")).toBe(true);
    await expect.poll(() => watcher.keys.size).toBe(1);
  });
});
