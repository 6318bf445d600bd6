import type pg from "pg";
import type { ChargeRow, ChargeState, Mismatch, OwnerRow, Verification } from "../domain/books.ts";
import type { Books } from "../ports.ts";
import { withClearErrors } from "./postgres-transaction.ts";

interface ChargeColumns {
  readonly request_id: string;
  readonly attempt: number;
  readonly key_id: string;
  readonly owner: string;
  readonly held_at: string;
  readonly bound_cost: string;
  readonly bound_tokens: string;
  readonly cost: string;
  readonly tokens: string;
  readonly state: ChargeState;
}

/** What came of each hold. A void that came before its hold is in the hold's place, and none. */
const CHARGES = `
  select h.request_id, h.attempt, h.key_id, o.name as owner, extract(epoch from h.created_at) * 1000 as held_at,
    h.cost_nanos as bound_cost, h.tokens as bound_tokens, coalesce(s.cost, 0) as cost, coalesce(s.tokens, 0) as tokens,
    case when s.kind is null then 'open' when s.kind = 'at-bound' and not s.corrected then 'unresolved'
      when s.kind = 'void' then 'void' else 'charged' end as state
  from hold h join owner o on o.id = h.owner_id cross join lateral (
    select min(kind) filter (where not correction) as kind, bool_or(correction) as corrected, sum(cost_nanos) as cost, sum(tokens) as tokens
    from settlement s where s.request_id = h.request_id and s.attempt = h.attempt) s
  where h.path <> '{}'`;

const charge = (row: ChargeColumns): ChargeRow => ({
  requestId: row.request_id,
  attempt: row.attempt,
  keyId: row.key_id,
  owner: row.owner,
  heldAtMs: Math.floor(Number(row.held_at)),
  bound: { costNanos: BigInt(row.bound_cost), tokens: BigInt(row.bound_tokens) },
  charged: { costNanos: BigInt(row.cost), tokens: BigInt(row.tokens) },
  state: row.state,
});

/** @param pool whose statements may take long: they look at everything */
export function postgresBooks(pool: pg.Pool): Books {
  const rows = <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    withClearErrors(async () => (await pool.query<T>(text, values)).rows);

  return {
    async verify(): Promise<Verification> {
      const sums = await rows<Record<"budget_id" | "start" | "held" | "held_by" | "spent" | "spent_by", string>>(
        `select p.budget_id, extract(epoch from p.start_at) * 1000 as start, v.held, v.held_by_entries as held_by, v.spent, v.spent_by_entries as spent_by
          from verify_ledger() v join budget_period p on p.id = v.budget_period_id order by p.id`,
      );
      const wrong = await rows<{ request_id: string; attempt: number; detail: string }>(
        "select request_id, attempt, detail from wrong_entries() limit 1000",
      );
      const [counts] = await rows<Record<"periods" | "holds" | "settlements", string>>(
        "select (select count(*) from budget_period) as periods, (select count(*) from hold) as holds, (select count(*) from settlement) as settlements",
      );
      const mismatches: Mismatch[] = sums.map((row) => ({
        budgetId: Number(row.budget_id),
        periodStartMs: Math.floor(Number(row.start)),
        held: BigInt(row.held),
        heldByEntries: BigInt(row.held_by),
        spent: BigInt(row.spent),
        spentByEntries: BigInt(row.spent_by),
        detail: "",
      }));
      for (const { request_id, attempt, detail } of wrong)
        mismatches.push({ ...NO_SUMS, detail: `${request_id}/${attempt}: ${detail}` });
      return {
        mismatches,
        periods: Number(counts?.periods),
        holds: Number(counts?.holds),
        settlements: Number(counts?.settlements),
      };
    },

    async charges({ fromMs, toMs, after, most }) {
      const found = await rows<ChargeColumns>(
        `${CHARGES} and h.created_at >= to_timestamp($1::float8 / 1000) and h.created_at < to_timestamp($2::float8 / 1000)
          and (h.request_id, h.attempt) > ($3::uuid, $4::int) order by h.request_id, h.attempt limit $5`,
        [fromMs, toMs, after?.requestId ?? FIRST_ID, after?.attempt ?? 0, most],
      );
      return found.map(charge);
    },
    async unresolved({ after, most }) {
      // From the settlements, of which few are at their bound.
      const found = await rows<ChargeColumns>(
        `${CHARGES} and (h.request_id, h.attempt) in (
          select s.request_id, s.attempt from settlement s where s.kind = 'at-bound' and not s.correction
            and (s.request_id, s.attempt) > ($1::uuid, $2::int) and not exists (
              select from settlement c where c.request_id = s.request_id and c.attempt = s.attempt and c.correction)
          order by 1, 2 limit $3) order by h.request_id, h.attempt`,
        [after?.requestId ?? FIRST_ID, after?.attempt ?? 0, most],
      );
      return found.map(charge);
    },
    async owners(): Promise<OwnerRow[]> {
      const found = await rows<{ name: string; dead: string | null; open: string; oldest: string; newest: string }>(
        `select o.name, extract(epoch from o.dead_at) * 1000 as dead, h.open, h.oldest, h.newest
          from owner o cross join lateral (
            select count(*) as open, extract(epoch from min(h.created_at)) * 1000 as oldest, extract(epoch from max(h.created_at)) * 1000 as newest
            from hold h where h.owner_id = o.id and h.created_at >= o.settled_before - interval '5 minutes' and not exists (
              select from settlement s where s.request_id = h.request_id and s.attempt = h.attempt)) h
          where h.open > 0 order by h.oldest`,
      );
      return found.map(({ name, dead, open, oldest, newest }) => ({
        name,
        deadAtMs: dead === null ? undefined : Math.floor(Number(dead)),
        openHolds: Number(open),
        oldestMs: Math.floor(Number(oldest)),
        newestMs: Math.floor(Number(newest)),
      }));
    },
    async note({ by, subject, charged, note }) {
      const [requestId, attempt, owner] =
        "owner" in subject ? [null, null, subject.owner] : [subject.requestId, subject.attempt, null];
      await rows(
        "insert into resolution (asked_by, request_id, attempt, owner, cost_nanos, tokens, note) values ($1, $2, $3, $4, $5, $6, $7)",
        [by, requestId, attempt, owner, charged.costNanos, charged.tokens, note],
      );
    },
    async forget(beforeMs, most) {
      const [row] = await rows<{ entries: number; subjects: number }>(
        `select forget_entries(to_timestamp($1::float8 / 1000), $2) as entries, forget_subjects(to_timestamp($1::float8 / 1000), $2) as subjects`,
        [beforeMs, most],
      );
      await rows("delete from run_call where seen_at < now() - interval '1 day'");
      return Math.max(row?.entries ?? 0, row?.subjects ?? 0);
    },
  };
}

const FIRST_ID = "00000000-0000-0000-0000-000000000000";
const NO_SUMS: Omit<Mismatch, "detail"> = {
  budgetId: 0,
  periodStartMs: 0,
  held: 0n,
  heldByEntries: 0n,
  spent: 0n,
  spentByEntries: 0n,
};
