import { randomUUID } from "node:crypto";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HoldRequest, Settlement } from "../src/domain/ledger.ts";
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

const DAY_MS = 86_400_000;
const OWNER = `books/0/${randomUUID()}`;
/** A UUIDv7 of so many days ago. */
function idOf(daysAgo: number): string {
  const hex = (Date.now() - daysAgo * DAY_MS).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${randomUUID().slice(15)}`;
}
const hold = (requestId: string, budgetIds: number[], cost = 10n, subjects?: string[]): HoldRequest => ({
  requestId,
  attempt: 1,
  owner: OWNER,
  place: { keyId: randomUUID(), budgetIds, subjects },
  bound: { costNanos: cost, tokens: 0n },
});
const charge = (requestId: string, costNanos: bigint): Settlement => ({
  requestId,
  attempt: 1,
  outcome: { costNanos, tokens: 0n },
});

/** Makes entries look as if they had been made when their ids say. */
const grow = (): Promise<unknown> =>
  fixture.asSuperuser(
    `update policy.hold set created_at = to_timestamp(('x' || left(replace(request_id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)`,
  );
const forget = async (days: number, most: number): Promise<number> => {
  const { rows } = await fixture.pool.query<{ n: number }>(
    "select forget_entries(now() - make_interval(days => $1), $2) as n",
    [days, most],
  );
  return rows[0]?.n ?? -1;
};
const count = async (table: string): Promise<number> =>
  Number((await fixture.pool.query<{ n: string }>(`select count(*) as n from ${table}`)).rows[0]?.n);

describe("old entries", () => {
  test("are forgotten piece by piece once their sums are kept; the books still agree, what is spent stays spent", async () => {
    const ledger = fixture.ledger();
    const [total, month] = [
      await fixture.budget({ limit: 1_000n }),
      await fixture.budget({ limit: 1_000n, period: "month" }),
    ];
    const old = Array.from({ length: 25 }, () => idOf(500));
    const young = Array.from({ length: 5 }, () => idOf(10));
    const [open = "", atBound = "", credited = ""] = Array.from({ length: 3 }, () => idOf(500));
    for (const id of [...old, ...young, open, atBound, credited]) await ledger.hold([hold(id, [total, month])]);
    await ledger.settle([...old, ...young].map((id) => charge(id, 4n)));
    await ledger.settle(
      [atBound, credited].map((requestId) => ({ requestId, attempt: 1, outcome: "at-bound" as const })),
    );
    await ledger.settle([charge(credited, 1n)]);
    await grow();
    const before = await fixture.sums(total);
    const pieces = [];
    for (let n = -1; n !== 0; ) pieces.push((n = await forget(400, 10)));
    expect(pieces).toEqual([10, 10, 6, 0]);
    expect(await fixture.sums(total)).toEqual(before);
    expect(await fixture.mismatches()).toEqual([]);
    // What is young, still held, or not resolved yet, stays.
    expect(await count("hold")).toBe(young.length + 2);
    expect(await ledger.settle([charge(open, 3n), charge(atBound, 2n)])).toEqual([
      { kind: "settled", aboveBound: false },
      { kind: "credited", aboveBound: false },
    ]);
    expect(await fixture.mismatches()).toEqual([]);
    // And what is told again of what was forgotten charges nothing.
    expect(await ledger.settle([charge(old[0] ?? "", 4n)])).toEqual([{ kind: "unknown-hold", aboveBound: false }]);
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("cannot be forgotten early, or by another way", async () => {
    await expect(forget(34, 10)).rejects.toThrow(/35 days/);
    await expect(fixture.pool.query("select forget_entries(null, 10)")).rejects.toThrow(/35 days/);
    await expect(fixture.pool.query("select forget_subjects(now(), 10)")).rejects.toThrow(/35 days/);
    await expect(fixture.pool.query("delete from checkpoint")).rejects.toThrow(/permission denied/);
    await expect(fixture.pool.query("update checkpoint set spent = 0")).rejects.toThrow(/permission denied/);
    await expect(fixture.pool.query("delete from resolution")).rejects.toThrow(/permission denied/);
  });

  test("of runs leave nothing behind in the end", async () => {
    const ledger = fixture.ledger();
    const budget = await fixture.budget({ unit: "requests", limit: 100n, per: "run" });
    const ids = Array.from({ length: 6 }, () => idOf(500));
    for (const [at, id] of ids.entries()) await ledger.hold([hold(id, [budget], 1n, [`run-${at % 2}`])]);
    await ledger.settle(ids.slice(0, 5).map((id) => charge(id, 1n)));
    await grow();
    await fixture.asSuperuser(
      `update policy.budget_period set opened_at = now() - interval '500 days' where budget_id = ${budget}`,
    );
    while ((await forget(400, 100)) > 0);
    const forgetSubjects = () => fixture.pool.query("select forget_subjects(now() - interval '400 days', 100) as n");
    // The run that still holds something is kept.
    expect((await forgetSubjects()).rows).toEqual([{ n: 1 }]);
    expect(await fixture.mismatches()).toEqual([]);
    await ledger.settle([charge(ids[5] ?? "", 1n)]);
    await forget(400, 100);
    expect((await forgetSubjects()).rows).toEqual([{ n: 1 }]);
    expect(await count(`budget_period where budget_id = ${budget}`)).toBe(0);
    expect(await fixture.mismatches()).toEqual([]);
  });
});

describe("warnings", () => {
  const warnings = async (budget: number): Promise<number[]> =>
    (
      await fixture.pool.query<{ percent: number }>(
        `select w.percent from warning w join budget_period p on p.id = w.budget_period_id where p.budget_id = $1 order by w.id`,
        [budget],
      )
    ).rows.map(({ percent }) => percent);
  const spend = async (
    ledgers: ReturnType<LedgerFixture["ledger"]>[],
    budget: number,
    cost: bigint,
    subject?: string,
  ) => {
    await Promise.all(
      ledgers.map(async (ledger) => {
        const id = randomUUID();
        await ledger.hold([hold(id, [budget], cost, subject === undefined ? undefined : [subject])]);
        await ledger.settle([charge(id, cost)]);
      }),
    );
  };

  test("come once for each threshold of a period, over replicas, also where one charge passes several", async () => {
    const ledgers = Array.from({ length: 4 }, () => fixture.ledger());
    const budget = await fixture.budget({ limit: 100n, hard: false });
    await spend(ledgers, budget, 12n);
    expect(await warnings(budget)).toEqual([]);
    await spend(ledgers, budget, 1n);
    expect(await warnings(budget)).toEqual([50]);
    await spend(ledgers, budget, 1n);
    expect(await warnings(budget)).toEqual([50]);
    await spend(ledgers, budget, 20n);
    expect(await warnings(budget)).toEqual([50, 80, 100]);
    await spend(ledgers, budget, 50n);
    expect(await warnings(budget)).toEqual([50, 80, 100]);
    expect(await fixture.mismatches()).toEqual([]);
  });

  test("a raised limit warns at its own thresholds, a new period and another run at all of them", async () => {
    const ledgers = [fixture.ledger()];
    const budget = await fixture.budget({ limit: 100n, per: "run" });
    await spend(ledgers, budget, 60n, "a");
    expect(await warnings(budget)).toEqual([50]);
    await fixture.pool.query("update budget set limit_amount = 200 where id = $1", [budget]);
    await spend(ledgers, budget, 60n, "a");
    expect(await warnings(budget)).toEqual([50]);
    await spend(ledgers, budget, 40n, "a");
    expect(await warnings(budget)).toEqual([50, 80]);
    await spend(ledgers, budget, 110n, "b");
    expect(await warnings(budget)).toEqual([50, 80, 50]);
    const { rows } = await fixture.pool.query("select subject from budget_period where budget_id = $1 order by id", [
      budget,
    ]);
    expect(rows).toEqual([{ subject: "a" }, { subject: "b" }]);
  });

  test("a charge of an unknown hold, which goes item by item, warns, too", async () => {
    const [one, other] = [fixture.ledger(), fixture.ledger()];
    const budget = await fixture.budget({ limit: 10n });
    const id = randomUUID();
    await one.hold([hold(id, [budget], 5n)]);
    // Above its bound: never a batch with totals.
    await other.settle([charge(id, 20n)]);
    expect(await warnings(budget)).toEqual([50, 80, 100]);
  });
});

test("what no batch writes is found by looking at the entries", async () => {
  const wrong = async () =>
    (await fixture.pool.query<{ detail: string }>("select detail from wrong_entries()")).rows.map(
      ({ detail }) => detail,
    );
  expect(await wrong()).toEqual([]);
  await fixture.asSuperuser("insert into policy.settlement values (gen_random_uuid(), 1, false, 'charge', 1, 1, 1)");
  await fixture.asSuperuser("insert into policy.hold values (gen_random_uuid(), 1, 0, gen_random_uuid(), '{}', -1, 0)");
  expect((await wrong()).sort()).toEqual(["a hold of less than nothing", "a settlement without its hold"]);
  await fixture.asSuperuser(
    "delete from policy.settlement s where not exists (select from policy.hold h where h.request_id = s.request_id)",
  );
  await fixture.asSuperuser("delete from policy.hold where cost_nanos < 0");
});
