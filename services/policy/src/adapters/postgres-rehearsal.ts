/** Holds that are taken back before anybody sees them: the ledger's own statement, in a transaction that is rolled back. */
import type pg from "pg";
import { totalsOf } from "../domain/entries.ts";
import type { HoldRequest } from "../domain/ledger.ts";
import type { RehearsedBudget } from "../domain/explain.ts";
import type { Rehearsal } from "../ports.ts";
import { APPLY_BATCH, type Batch, type BatchRow, batchValues, readVerdicts } from "./ledger-batch.ts";
import { LedgerPeriods } from "./ledger-periods.ts";
import { withClearErrors } from "./postgres-transaction.ts";

const OWNER = "explain";

const STATES = `
  select p.id, b.limit_amount, b.hard, b.closed, p.held, p.spent, extract(epoch from nullif(p.end_at, 'infinity')) * 1000 as ends
  from budget_period p join budget b on b.id = p.budget_id where p.id = any($1::int[])`;

interface StateColumns {
  readonly id: number;
  readonly limit_amount: string;
  readonly hard: boolean;
  readonly closed: boolean;
  readonly held: string;
  readonly spent: string;
  readonly ends: string | null;
}

const stateOf = (row: StateColumns): RehearsedBudget => ({
  limit: BigInt(row.limit_amount),
  hard: row.hard,
  closed: row.closed,
  held: BigInt(row.held),
  spent: BigInt(row.spent),
  periodEndMs: row.ends === null ? undefined : Math.floor(Number(row.ends)),
});

export const postgresRehearsal = (pool: pg.Pool): Rehearsal => ({
  hold: (asked) =>
    withClearErrors(async () => {
      const client = await pool.connect();
      let broken = true;
      try {
        await client.query("begin");
        await client.query("insert into owner (name) values ($1) on conflict do nothing", [OWNER]);
        const owner = await client.query<{ id: number }>("select id from owner where name = $1", [OWNER]);
        const periods = new LedgerPeriods();
        await periods.open(client, [asked.place]);
        const path = periods.pathOf(asked.place) ?? [];
        const found = await client.query<StateColumns>(STATES, [path.map(({ id }) => id)]);
        const byId = new Map(found.rows.map((row) => [row.id, stateOf(row)]));
        const holds: HoldRequest[] = [{ ...asked, owner: OWNER }];
        const batch: Batch = {
          settlements: [],
          entries: [],
          holds,
          paths: [path],
          totals: totalsOf([], [], holds, [path]),
          ownerId: () => (owner.rows[0] as { id: number }).id,
        };
        const { rows } = await client.query<BatchRow>({ ...APPLY_BATCH, values: batchValues(batch) });
        const [verdict] = readVerdicts(rows[0] as BatchRow, batch);
        await client.query("rollback");
        broken = false;
        if (verdict === undefined) throw new Error("the ledger gave no verdict");
        return { verdict, states: path.map(({ id }) => byId.get(id) as RehearsedBudget) };
      } finally {
        client.release(broken);
      }
    }),
});
