import { WeirError } from "@weir/kernel";
import pg from "pg";
import type { LegalHold, Removal, RetentionPolicy } from "../domain/retention.ts";
import type { HoldStore, RetentionStore } from "../ports.ts";
import { asUnavailable } from "./unavailable.ts";

/** A batch waits for the sequencer, and the sequencer for it: so many rows take some tens of milliseconds. */
const ROWS_AT_ONCE = 1_000;

interface PolicyRow {
  readonly workspace: string;
  readonly inherits: boolean;
  readonly records_ms: string | null;
  readonly payloads_ms: string | null;
  readonly since_ms: string;
  readonly record: string;
  readonly kept_records: string | null;
  readonly kept_payloads: string | null;
}

const POLICIES = `
  select p.*, r.keep_ms as kept_records, s.keep_ms as kept_payloads
  from (select distinct on (workspace) * from retention_policy order by workspace, version desc) p,
       keeping(p.workspace, 1::smallint, now_ms()) r, keeping(p.workspace, 2::smallint, now_ms()) s
  order by p.workspace`;

interface HoldRow {
  readonly id: string;
  readonly workspace: string;
  readonly key_id: string;
  readonly from_ms: string;
  readonly to_ms: string | null;
  readonly reason: string;
  readonly at_ms: string;
  readonly record: string;
  readonly release_reason: string | null;
  readonly release_at_ms: string | null;
  readonly release_record: string | null;
}

const HOLDS = `
  select h.*, l.reason as release_reason, l.at_ms as release_at_ms, l.record as release_record
  from legal_hold h left join legal_hold_release l using (id)`;

/** All of it is decided in migrations/audit/0005-retention.sql; here it is only asked for. */
export function postgresRetention(pool: pg.Pool): RetentionStore & HoldStore {
  const rows = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, values)).rows;
    } catch (error) {
      throw asRefusal(error);
    }
  };
  const hold = async (id: string): Promise<LegalHold> => {
    const [row] = await rows<HoldRow>(`${HOLDS} where h.id = $1`, [id]);
    if (row === undefined) throw new WeirError("not_found", `There is no legal hold ${id}.`, { param: "id" });
    return holdOf(row);
  };
  return {
    async setPolicy(workspaceId, times) {
      const given = times === "inherit" ? [true, null, null] : [false, times.recordsMs, times.payloadsMs];
      await rows("select set_retention($1, $2, $3, $4)", [workspaceId, ...given]);
      const found = (await this.policies()).find((policy) => policy.workspaceId === workspaceId);
      if (found === undefined) throw new Error("the policy that was just set is not there");
      return found;
    },
    async policies() {
      return (await rows<PolicyRow>(POLICIES, [])).map(policyOf);
    },
    async retain(subject, workspaceId, after, dryRun) {
      interface Row {
        readonly workspace: string | null;
        readonly removed: string;
        readonly first_index: string | null;
        readonly last_index: string | null;
        readonly record: string | null;
        readonly next_after: string | null;
      }
      const found = await rows<Row>("select * from retain($1, $2, $3, $4, $5)", [
        subject,
        workspaceId ?? null,
        after ?? null,
        ROWS_AT_ONCE,
        dryRun,
      ]);
      const removals = found.flatMap((row): Removal[] =>
        row.workspace === null
          ? []
          : [
              {
                subject,
                workspaceId: row.workspace,
                count: Number(row.removed),
                firstIndex: Number(row.first_index),
                lastIndex: Number(row.last_index),
                index: row.record === null ? undefined : Number(row.record),
              },
            ],
      );
      const next = found.find((row) => row.workspace === null)?.next_after ?? null;
      return { removals, next: next === null ? undefined : Number(next) };
    },
    async place(id, { workspaceId, keyId, fromMs, toMs }, reason) {
      await rows("select place_hold($1, $2, $3, $4, $5, $6)", [id, workspaceId, keyId, fromMs, toMs, reason]);
      return hold(id);
    },
    async release(id, reason) {
      await rows("select release_hold($1, $2)", [id, reason]);
      return hold(id);
    },
    async list(released) {
      const text = `${HOLDS} ${released ? "" : "where l.id is null"} order by h.record desc`;
      return (await rows<HoldRow>(text, [])).map(holdOf);
    },
    async holding(workspaceId, keyId) {
      const [row] = await rows<{ id: string | null }>("select held($1, $2, 0, null) as id", [
        workspaceId,
        keyId ?? null,
      ]);
      return row?.id ?? undefined;
    },
  };
}

const INVALID_PARAMETER = "22023";
/** A NUL in a text, which Postgres does not take. */
const NOT_IN_REPERTOIRE = "22021";
const NO_DATA = "P0002";

function asRefusal(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return asUnavailable(error);
  if (error.code === NOT_IN_REPERTOIRE)
    return new WeirError("invalid_request", "A text must not hold NUL.", { cause: error });
  if (error.code === INVALID_PARAMETER)
    return new WeirError("invalid_request", sentence(error.message), { cause: error });
  if (error.code === NO_DATA) return new WeirError("not_found", sentence(error.message), { cause: error });
  return asUnavailable(error);
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

const policyOf = (row: PolicyRow): RetentionPolicy => ({
  workspaceId: row.workspace,
  inherits: row.inherits,
  recordsMs: Number(row.records_ms ?? 0),
  payloadsMs: Number(row.payloads_ms ?? 0),
  sinceMs: Number(row.since_ms),
  index: Number(row.record),
  effective: { recordsMs: Number(row.kept_records ?? 0), payloadsMs: Number(row.kept_payloads ?? 0) },
});

const holdOf = (row: HoldRow): LegalHold => ({
  id: row.id,
  workspaceId: row.workspace,
  keyId: row.key_id,
  fromMs: Number(row.from_ms),
  toMs: Number(row.to_ms ?? 0),
  reason: row.reason,
  atMs: Number(row.at_ms),
  index: Number(row.record),
  release:
    row.release_reason === null
      ? undefined
      : { reason: row.release_reason, atMs: Number(row.release_at_ms), index: Number(row.release_record) },
});
