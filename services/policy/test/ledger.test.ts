import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HoldRequest, UnsureHoldError } from "../src/domain/ledger.ts";
import { ledgerFixture, type LedgerFixture } from "./ledger-fixture.ts";

let postgres: BackingPostgres;
let fixture: LedgerFixture;

beforeAll(async () => {
  postgres = await startPostgres();
  fixture = await ledgerFixture(await postgres.freshDatabase());
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const OWNER = `test/0/${randomUUID()}`;
const hold = (budgetIds: number[], costNanos: bigint, more: Partial<HoldRequest> = {}): HoldRequest => ({
  requestId: randomUUID(),
  attempt: 1,
  owner: OWNER,
  place: { keyId: randomUUID(), budgetIds },
  bound: { costNanos, tokens: 0n },
  ...more,
});

describe("nothing is overspent", () => {
  test("where k fit, exactly k of many concurrent requests are admitted, over two replicas", async () => {
    const replicas = [fixture.ledger(), fixture.ledger()];
    for (const fit of [0, 1, 37, 100]) {
      const organization = await fixture.budget({ limit: BigInt(fit) * 7n + 6n });
      const workspace = await fixture.budget({ limit: 1_000_000n });
      const project = await fixture.budget({ limit: 0n, hard: false });
      const path = [organization, workspace, project];
      // The periods are there before: else the replicas would wait for each other at making them, and not at the locks.
      const { requestId } = hold(path, 0n);
      await replicas[0]?.hold([{ ...hold(path, 0n), requestId }]);
      await replicas[0]?.settle([{ requestId, attempt: 1, outcome: "void" }]);
      const all = Array.from({ length: 256 }, async (_, i) => {
        await sleep(i % 16);
        return replicas[i % 2]?.hold([hold(path, 7n)]);
      });
      const verdicts = (await Promise.all(all)).flat();
      expect(verdicts.filter((verdict) => verdict?.kind === "held")).toHaveLength(fit);
      const refusal = { kind: "refused", budgetId: organization, room: 6n };
      const refused = verdicts.filter((verdict) => verdict?.kind !== "held");
      expect(refused).toEqual(refused.map(() => refusal));
      // All or nothing: the others hold what was admitted, no more.
      expect((await fixture.sums(organization)).held).toBe(BigInt(fit) * 7n);
      expect((await fixture.sums(workspace)).held).toBe(BigInt(fit) * 7n);
      expect((await fixture.sums(project)).held).toBe(BigInt(fit) * 7n);
    }
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("concurrent requests share commits, and settled room is there for the next", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 64n });
    const rounds = 20;
    for (let round = 0; round < rounds; round++) {
      const holds = Array.from({ length: 64 }, () => hold([budget], 1n));
      const verdicts = await Promise.all(holds.map((one) => ledger.hold([one])));
      expect(verdicts.flat().every(({ kind }) => kind === "held")).toBe(true);
      await Promise.all(holds.map(({ requestId }) => ledger.settle([{ requestId, attempt: 1, outcome: "void" }])));
    }
    // 64 requests at once, each with two calls: at least 16 share a commit.
    expect((rounds * 64) / ledger.commits).toBeGreaterThanOrEqual(16);
    expect(await fixture.sums(budget)).toEqual({ held: 0n, spent: 0n, closed: false });
  });

  test("a charge above its bound is debited in full and closes the hard budgets of its unit", async () => {
    const ledger = fixture.ledger();
    const [money, soft, tokens] = [
      await fixture.budget({ limit: 1000n }),
      await fixture.budget({ limit: 1000n, hard: false }),
      await fixture.budget({ unit: "tokens", limit: 1000n }),
    ];
    const one = hold([money, soft, tokens], 10n, { bound: { costNanos: 10n, tokens: 10n } });
    await ledger.hold([one]);
    const outcome = { costNanos: 25n, tokens: 5n };
    expect(await ledger.settle([{ requestId: one.requestId, attempt: 1, outcome }])).toEqual([
      { kind: "settled", aboveBound: true },
    ]);
    expect(await fixture.sums(money)).toEqual({ held: 0n, spent: 25n, closed: true });
    expect(await fixture.sums(soft)).toEqual({ held: 0n, spent: 25n, closed: false });
    expect(await fixture.sums(tokens)).toEqual({ held: 0n, spent: 5n, closed: false });
    expect(await ledger.hold([hold([soft, money], 0n)])).toEqual([
      { kind: "refused", budgetId: money, room: undefined },
    ]);
  });
});

describe("safe to repeat and to reorder", () => {
  test("the same attempt is held once, also within one batch and over replicas", async () => {
    const budget = await fixture.budget({ limit: 100n });
    const one = hold([budget], 10n);
    const [a, b] = [fixture.ledger(), fixture.ledger()];
    const verdicts = await Promise.all([a.hold([one, one]), a.hold([one]), b.hold([one])]);
    expect(verdicts.flat()).toEqual(Array.from({ length: 4 }, () => ({ kind: "held" })));
    expect((await fixture.sums(budget)).held).toBe(10n);
  });

  test("of settlements that come three times, reordered and from two replicas, one counts", async () => {
    const budget = await fixture.budget({ limit: 1_000n });
    const [a, b] = [fixture.ledger(), fixture.ledger()];
    const holds = Array.from({ length: 50 }, () => hold([budget], 10n));
    await a.hold(holds);
    const settlements = holds.map(({ requestId }) => ({
      requestId,
      attempt: 1,
      outcome: { costNanos: 4n, tokens: 0n },
    }));
    const results = await Promise.all([
      a.settle(settlements),
      b.settle(settlements.toReversed()),
      b.settle(settlements),
    ]);
    const kinds = results.flat().map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "settled")).toHaveLength(50);
    expect(kinds.filter((kind) => kind === "duplicate")).toHaveLength(100);
    expect(await fixture.sums(budget)).toEqual({ held: 0n, spent: 200n, closed: false });
  });

  test("a void that overtakes its hold keeps it from being held", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 100n });
    const one = hold([budget], 10n);
    const [results, verdicts] = await Promise.all([
      ledger.settle([{ requestId: one.requestId, attempt: 1, outcome: "void" }]),
      ledger.hold([one]),
    ]);
    expect(results).toEqual([{ kind: "unknown-hold", aboveBound: false }]);
    expect(verdicts).toEqual([{ kind: "already-settled" }]);
    expect((await fixture.sums(budget)).held).toBe(0n);
  });

  test("a void and its hold that meet on two replicas leave nothing held", async () => {
    const [a, b] = [fixture.ledger(), fixture.ledger()];
    const budget = await fixture.budget({ limit: 1_000_000n });
    const names = Array.from({ length: 300 }, (_, i) => ({ one: hold([budget], 1n), delayMs: i % 30 }));
    await Promise.all(
      names.map(async ({ one, delayMs }) => {
        await sleep(delayMs);
        const voided = b.settle([{ requestId: one.requestId, attempt: 1, outcome: "void" }]);
        await Promise.all([a.hold([one]), voided]);
      }),
    );
    expect(await fixture.sums(budget)).toEqual({ held: 0n, spent: 0n, closed: false });
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("an extension that comes when its request is over is not held", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 100n });
    const one = hold([budget], 10n);
    const { requestId, owner, bound } = one;
    await ledger.hold([one]);
    // What an ingress sends whose client left: nobody told it of attempts.
    const settlements = [1, 2, 3, 4].map((attempt) => ({ requestId, attempt, outcome: "at-bound" as const }));
    const [, verdicts] = await Promise.all([
      ledger.settle(settlements),
      ledger.hold([{ requestId, attempt: 2, owner, place: undefined, bound }]),
    ]);
    expect(verdicts).toEqual([{ kind: "already-settled" }]);
    const late = await ledger.hold([{ requestId, attempt: 3, owner, place: undefined, bound }]);
    expect(late).toEqual([{ kind: "already-settled" }]);
    expect(await fixture.sums(budget)).toEqual({ held: 0n, spent: 10n, closed: false });
  });

  test("a late outcome only ever credits what was charged at the bound, once", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 100n });
    const one = hold([budget], 10n);
    await ledger.hold([one]);
    const settle = (outcome: "at-bound" | { costNanos: bigint; tokens: bigint }) =>
      ledger.settle([{ requestId: one.requestId, attempt: 1, outcome }]);
    await settle("at-bound");
    expect((await fixture.sums(budget)).spent).toBe(10n);
    expect(await settle({ costNanos: 3n, tokens: 0n })).toEqual([{ kind: "credited", aboveBound: false }]);
    expect(await settle({ costNanos: 1n, tokens: 0n })).toEqual([{ kind: "duplicate", aboveBound: false }]);
    expect((await fixture.sums(budget)).spent).toBe(3n);
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("nothing is held for an owner any more once it was fenced, and fencing waits for what is being held", async () => {
    const [a, b] = [fixture.ledger(), fixture.ledger()];
    const budget = await fixture.budget({ limit: 100n });
    const owner = randomUUID();
    await a.hold([hold([budget], 1n, { owner })]);
    const blocker = await fixture.pool.connect();
    await blocker.query("begin");
    await blocker.query("select from budget_period where budget_id = $1 for update", [budget]);
    const underWay = a.hold([hold([budget], 1n, { owner })]);
    await sleep(100);
    const openAfterFence = b.fence(owner).then(() => b.openHolds(owner));
    await sleep(100);
    await blocker.query("commit");
    blocker.release();
    expect(await underWay).toEqual([{ kind: "held" }]);
    expect(await openAfterFence).toHaveLength(2);
    expect(await a.hold([hold([budget], 1n, { owner })])).toEqual([{ kind: "dead-owner" }]);
  });
});

test("open holds are found however much their owner held before, and whatever was looked at already", async () => {
  const ledger = fixture.ledger();
  const budget = await fixture.budget({ limit: 1_000_000n });
  const owner = randomUUID();
  const holds = Array.from({ length: 40 }, () => hold([budget], 1n, { owner }));
  for (const one of holds) await ledger.hold([one]);
  const open = new Set([holds[12]?.requestId, holds[30]?.requestId]);
  const settled = holds.filter(({ requestId }) => !open.has(requestId));
  await ledger.settle(settled.map(({ requestId }) => ({ requestId, attempt: 1, outcome: "void" })));
  await fixture.asSuperuser(`update policy.hold set created_at = created_at - interval '1 hour'
    from policy.owner o where o.id = owner_id and o.name = '${owner}'`);
  const advance = async () => {
    const { rows } = await fixture.pool.query("select advance_owner(id, 5) as more from owner where name = $1", [
      owner,
    ]);
    return rows[0]?.more as boolean;
  };
  const watermark = async () =>
    (await fixture.pool.query("select settled_before from owner where name = $1", [owner])).rows[0]?.settled_before;
  while (await advance());
  const createdAt = async (requestId: string | undefined) =>
    (await fixture.pool.query("select created_at from hold where request_id = $1", [requestId])).rows[0]?.created_at;
  expect(await watermark()).toEqual(await createdAt(holds[12]?.requestId));
  expect(new Set((await ledger.openHolds(owner)).map(({ requestId }) => requestId))).toEqual(open);
  await ledger.settle([{ requestId: holds[12]?.requestId ?? "", attempt: 1, outcome: "at-bound" }]);
  while (await advance());
  expect(await watermark()).toEqual(await createdAt(holds[30]?.requestId));
  expect(await ledger.openHolds(owner)).toEqual([{ requestId: holds[30]?.requestId, attempt: 1 }]);
});

test("a hold is settled in the period in which it was made; a new period begins empty", async () => {
  const ledger = fixture.ledger();
  const budget = await fixture.budget({ period: "month", limit: 10n });
  const one = hold([budget], 10n);
  await ledger.hold([one]);
  // Time passes: what is now the current period becomes a past one.
  await fixture.pool.query(
    "update budget_period set start_at = start_at - interval '1 month', end_at = start_at where budget_id = $1",
    [budget],
  );
  const next = hold([budget], 10n);
  expect(await ledger.hold([next])).toEqual([{ kind: "held" }]);
  await ledger.settle([{ requestId: one.requestId, attempt: 1, outcome: { costNanos: 9n, tokens: 0n } }]);
  const { rows } = await fixture.pool.query(
    "select held::int, spent::int from budget_period where budget_id = $1 order by start_at",
    [budget],
  );
  expect(rows).toEqual([
    { held: 0, spent: 9 },
    { held: 10, spent: 0 },
  ]);
});

test("who moves to another time zone goes on in the period that is running, and the next one begins there", async () => {
  const workspace = randomUUID();
  await fixture.pool.query("insert into organization (id, name) values ($1, 'zones')", [workspace]);
  await fixture.pool.query(
    "insert into workspace (id, organization_id, name, payloads) values ($1, $1, 'zones', 'none')",
    [workspace],
  );
  const { rows } = await fixture.pool.query<{ id: number }>(
    "insert into budget (place, place_id, unit, period, limit_amount, hard) values ('workspace', $1, 'requests', 'day', 1, true) returning id",
    [workspace],
  );
  const budget = rows[0]?.id ?? 0;
  const ledger = fixture.ledger();
  expect(await ledger.hold([hold([budget], 0n)])).toEqual([{ kind: "held" }]);
  const zone = new Date().getUTCHours() < 12 ? "Pacific/Kiritimati" : "Pacific/Niue";
  await fixture.pool.query("update workspace set time_zone = $2 where id = $1", [workspace, zone]);
  // It is another day there, but what was spent today stays spent.
  const another = await fixture.ledger().hold([hold([budget], 0n)]);
  expect(another).toEqual([{ kind: "refused", budgetId: budget, room: 0n }]);
  await fixture.pool.query(
    "update budget_period set start_at = start_at - interval '2 days', end_at = now() where budget_id = $1",
    [budget],
  );
  expect(await ledger.hold([hold([budget], 0n)])).toEqual([{ kind: "held" }]);
  const { rows: periods } = await fixture.pool.query<{ isThere: boolean; follows: boolean }>(
    `select end_at = (budget_time('day', now(), $2)).end_at as "isThere", start_at >= lag(end_at) over (order by start_at) as follows
      from budget_period where budget_id = $1 order by start_at desc limit 1`,
    [budget, zone],
  );
  expect(periods[0]).toEqual({ isThere: true, follows: true });
});

describe("when Postgres fails", () => {
  test("connections that break in the middle of batches hold nothing twice and lose nothing", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 1_000_000n });
    let breaking = true;
    let broken = 0;
    const breaker = (async () => {
      while (breaking) {
        const { rowCount } = await fixture.asSuperuser(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weir-policy-ledger'",
        );
        broken += rowCount ?? 0;
        await sleep(15);
      }
    })();
    const outcomes = await Promise.all(
      Array.from({ length: 400 }, async (_, i) => {
        await sleep(i);
        const one = hold([budget], 1n);
        try {
          return (await ledger.hold([one]))[0]?.kind;
        } catch {
          return "unknown";
        }
      }),
    );
    breaking = false;
    await breaker;
    const held = outcomes.filter((kind) => kind === "held").length;
    expect(held).toBeGreaterThan(0);
    expect(broken).toBeGreaterThan(0);
    // What was refused because its fate was unknown is given back by the ledger itself.
    await expect.poll(async () => (await fixture.sums(budget)).held, { timeout: 10_000 }).toBe(BigInt(held));
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("a batch whose connection breaks while it runs is repeated, and holds once", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 100n });
    await ledger.hold([hold([budget], 1n)]);
    const blocker = await fixture.pool.connect();
    await blocker.query("begin");
    await blocker.query("select from budget_period where budget_id = $1 for update", [budget]);
    const underWay = ledger.hold([hold([budget], 1n), hold([budget], 1n)]);
    await sleep(100);
    const { rowCount } = await fixture.asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weir-policy-ledger' and wait_event_type = 'Lock'",
    );
    expect(rowCount).toBe(1);
    await sleep(100);
    await blocker.query("commit");
    blocker.release();
    expect(await underWay).toEqual([{ kind: "held" }, { kind: "held" }]);
    expect((await fixture.sums(budget)).held).toBe(3n);
  });

  test("while it is away holds are refused at once, and it comes back by itself", async () => {
    await using own = await startPostgres();
    await using other = await ledgerFixture(own.url);
    const ledger = other.ledger();
    const budget = await other.budget({ limit: 100n });
    expect(await ledger.hold([hold([budget], 1n)])).toEqual([{ kind: "held" }]);
    await own.kill();
    // The first one may have been written; those after it are not even sent.
    const unsure = await ledger.hold([hold([budget], 1n)]).catch((error: unknown) => error);
    expect(unsure).toBeInstanceOf(UnsureHoldError);
    expect(unsure).toMatchObject({ reason: "policy_unavailable" });
    const begin = performance.now();
    await expect(ledger.hold([hold([budget], 1n)])).rejects.toMatchObject({ reason: "policy_unavailable" });
    expect(performance.now() - begin).toBeLessThan(100);
    await own.restart();
    await expect
      .poll(
        () =>
          ledger.hold([hold([budget], 1n)]).then(
            ([v]) => v?.kind,
            () => "away",
          ),
        { timeout: 15_000 },
      )
      .toBe("held");
    await expect.poll(async () => (await other.sums(budget)).held).toBe(2n);
    expect(other.events).toEqual(["away", "back"]);
  });

  test("while its tables are locked one hold waits for its timeout, the others are refused at once, and all heals", async () => {
    const database = await postgres.freshDatabase();
    await using other = await ledgerFixture(database);
    const ledger = other.ledger();
    const budget = await other.budget({ limit: 100n });
    expect(await ledger.hold([hold([budget], 1n)])).toEqual([{ kind: "held" }]);
    const blocker = new pg.Client(database);
    await blocker.connect();
    await blocker.query("begin; lock table policy.budget_period, policy.hold");
    await expect(ledger.hold([hold([budget], 1n)])).rejects.toMatchObject({ reason: "policy_unavailable" });
    // Other questions are answered, so that it may look as if Postgres were back.
    const tookMs: number[] = [];
    for (let turn = 0; turn < 60; turn++) {
      const begin = performance.now();
      await expect(ledger.hold([hold([budget], 1n)])).rejects.toMatchObject({ reason: "policy_unavailable" });
      tookMs.push(performance.now() - begin);
      await sleep(50);
    }
    expect(Math.max(...tookMs)).toBeLessThan(500);
    expect(other.events).toEqual(["away"]);
    await blocker.query("rollback");
    await blocker.end();
    await expect.poll(() => other.events, { timeout: 15_000 }).toEqual(["away", "back"]);
    expect(await ledger.hold([hold([budget], 1n)])).toEqual([{ kind: "held" }]);
    expect((await other.sums(budget)).held).toBe(2n);
  });

  test("one item that cannot be written does not take the others with it", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ limit: 100n });
    const [good, bad] = await Promise.allSettled([
      ledger.hold([hold([budget], 1n)]),
      ledger.hold([hold([2_000_000_000], 1n)]),
    ]);
    expect(good).toMatchObject({ value: [{ kind: "held" }] });
    expect(bad).toMatchObject({ status: "rejected", reason: { reason: "internal" } });
  });
});

test("no role of the service can change or remove an entry of the ledger", async () => {
  for (const table of ["hold", "settlement"]) {
    for (const statement of [
      `update ${table} set tokens = 0`,
      `delete from ${table}`,
      `truncate ${table}`,
      `drop table ${table}`,
    ]) {
      await expect(fixture.pool.query(statement), statement).rejects.toThrow(/permission denied|must be owner/);
    }
  }
});
