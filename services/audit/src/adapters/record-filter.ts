import type { LogFilter } from "../domain/log-entry.ts";

const OF_SUBJECT =
  "select p.index from audit_payload p join audit_keys.subject s on s.id = p.subject where s.lookup = any";

/** Of rows of audit_record as `r`. */
export function conditions(filter: LogFilter): { where: string[]; values: unknown[] } {
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (condition: (value: string) => string, value: unknown): void => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (filter.workspaceId !== "") add((value) => `r.workspace = ${value}`, filter.workspaceId);
  if (filter.keyId !== "") add((value) => `r.key_id = ${value}`, filter.keyId);
  if (filter.model !== "") add((value) => `r.model = ${value}`, filter.model);
  if (filter.provider !== "") add((value) => `r.provider = ${value}`, filter.provider);
  if (filter.outcome !== 0) add((value) => `r.outcome = ${value}`, filter.outcome);
  if (filter.kind !== 0) add((value) => `r.kind = ${value}`, filter.kind);
  if (filter.status !== 0) add((value) => `r.status = ${value}`, filter.status);
  if (filter.fromMs !== undefined) add((value) => `r.at_ms >= ${value}`, filter.fromMs);
  if (filter.toMs !== undefined) add((value) => `r.at_ms < ${value}`, filter.toMs);
  if (filter.minCostNanos !== 0n) add((value) => `r.cost_nanos >= ${value}`, String(filter.minCostNanos));
  if (filter.maxCostNanos !== 0n) add((value) => `r.cost_nanos <= ${value}`, String(filter.maxCostNanos));
  // It stands in the header only: no column may tell who is the same person as whom for longer than the header does.
  if (filter.endUserHmac.length > 0) add((value) => `position(${value}::bytea in r.header) > 0`, filter.endUserHmac);
  if (filter.subject !== undefined) add((value) => `r.index in (${OF_SUBJECT} (${value}::bytea[]))`, filter.subject);
  // Only so can the planner use the indexes that have such rows only: see migrations/audit/0006-queries.sql.
  if (filter.workspaceId !== "") where.push("r.workspace <> ''");
  if (filter.keyId !== "") where.push("r.key_id <> ''");
  if (filter.model !== "") where.push("r.model <> ''");
  if (filter.status >= 400) where.push("r.status >= 400");
  if (filter.minCostNanos >= 100_000_000n) where.push("r.cost_nanos >= 100000000");
  return { where, values };
}
