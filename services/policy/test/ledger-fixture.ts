import { randomUUID } from "node:crypto";
import { ledgerPool, prepareDatabase } from "../src/adapters/postgres-pools.ts";
import { postgresLedger, type PostgresLedger } from "../src/adapters/postgres-ledger.ts";
import type { BudgetUnit } from "../src/domain/key-policy.ts";
import type { BudgetPeriod } from "../src/domain/periods.ts";
import type { BudgetSubject } from "../src/domain/subjects.ts";
import pg from "pg";

export interface LedgerFixture extends AsyncDisposable {
  readonly pool: pg.Pool;
  readonly events: string[];
  asSuperuser(text: string): Promise<pg.QueryResult>;
  ledger(): PostgresLedger;
  budget(terms: {
    unit?: BudgetUnit;
    period?: BudgetPeriod;
    limit: bigint;
    hard?: boolean;
    per?: BudgetSubject;
    maxIdenticalCalls?: number | undefined;
  }): Promise<number>;
  /** Sums of all periods of a budget. */
  sums(budgetId: number): Promise<{ held: bigint; spent: bigint; closed: boolean }>;
  /** Rows of the ledger that do not add up. */
  mismatches(): Promise<unknown[]>;
}

/** A ledger's database, and as many replicas of the ledger on it as are asked for. */
export async function ledgerFixture(databaseUrl: string): Promise<LedgerFixture> {
  const database = { connectionString: databaseUrl };
  await prepareDatabase(database);
  const pools: pg.Pool[] = [];
  const ledgers: PostgresLedger[] = [];
  const events: string[] = [];
  const open = (): pg.Pool => {
    const pool = ledgerPool(database, () => undefined);
    pools.push(pool);
    return pool;
  };
  const pool = open();
  return {
    pool,
    events,
    async asSuperuser(text) {
      const client = new pg.Client(database);
      await client.connect();
      try {
        return await client.query(text);
      } finally {
        await client.end();
      }
    },
    ledger() {
      const ledger = postgresLedger(open(), {
        onAway: () => events.push("away"),
        onBack: () => events.push("back"),
        onAdvanceFailed: (error) => events.push(`advance: ${String(error)}`),
        onUnwritable: (error) => events.push(`unwritable: ${String(error)}`),
      });
      ledgers.push(ledger);
      return ledger;
    },
    async budget({ unit = "nano-usd", period = "total", limit, hard = true, per = "none", maxIdenticalCalls }) {
      const { rows } = await pool.query<{ id: number }>(
        `insert into budget (place, place_id, unit, period, limit_amount, hard, per, max_identical_calls)
          values ('workspace', $1, $2, $3, $4, $5, $6, $7) returning id`,
        [randomUUID(), unit, period, limit, hard, per, maxIdenticalCalls ?? null],
      );
      return rows[0]?.id ?? 0;
    },
    async sums(budgetId) {
      const { rows } = await pool.query<{ held: string; spent: string; closed: boolean }>(
        `select coalesce(sum(p.held), 0)::bigint as held, coalesce(sum(p.spent), 0)::bigint as spent, b.closed
          from budget b left join budget_period p on p.budget_id = b.id where b.id = $1 group by b.id`,
        [budgetId],
      );
      const row = rows[0];
      return { held: BigInt(row?.held ?? -1), spent: BigInt(row?.spent ?? -1), closed: row?.closed ?? false };
    },
    mismatches: async () => (await pool.query("select * from verify_ledger()")).rows,
    async [Symbol.asyncDispose]() {
      for (const ledger of ledgers) await ledger[Symbol.asyncDispose]();
      for (const one of pools) await one.end();
    },
  };
}
