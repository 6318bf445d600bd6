import type pg from "pg";
import {
  type Gap,
  type LogEntry,
  type ModelTotal,
  NO_FILTER,
  type SealedPayload,
  type Watermark,
} from "../domain/log-entry.ts";
import type { LogReader } from "../ports.ts";
import { conditions } from "./record-filter.ts";
import { asUnavailable } from "./unavailable.ts";

interface EntryRow {
  readonly index: string;
  readonly hash: Buffer;
  readonly name: string;
  readonly number: string;
  readonly intent_number: string;
  readonly kind: number;
  readonly at_ms: string;
  readonly header: Buffer;
  readonly payload_omitted: boolean;
}

const ENTRY = `select r.index, l.hash, p.name, l.number, l.intent_number, l.kind, r.at_ms, r.header, r.payload_omitted
  from audit_record r join audit_leaf l on l.index = r.index join producer p on p.id = l.producer
  where not r.repeated`;

export function postgresLogReader(pool: pg.Pool): LogReader {
  const rows = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(text, values)).rows;
    } catch (error) {
      throw asUnavailable(error);
    }
  };
  return {
    async ofRequest(requestId) {
      return (await rows<EntryRow>(`${ENTRY} and r.request_id = $1 order by r.index`, [requestId])).map(entryOf);
    },
    async payloadsOfRequest(requestId) {
      interface Row {
        readonly index: string;
        readonly request_id: string;
        readonly sealed: Buffer;
        readonly subject: string | null;
        readonly wrapped_key: Buffer | null;
      }
      const found = await rows<Row>(PAYLOADS, [requestId]);
      return found.map(
        (row): SealedPayload => ({
          index: Number(row.index),
          requestId: row.request_id,
          sealed: row.sealed,
          custody:
            row.subject === null ? undefined : { subject: row.subject, wrappedKey: row.wrapped_key ?? undefined },
        }),
      );
    },
    async list(filter, after, limit) {
      const { where, values } = conditions(filter);
      if (after !== undefined) {
        values.push(after.atMs, after.index);
        where.push(`(r.at_ms, r.index) < ($${values.length - 1}, $${values.length})`);
      }
      values.push(limit);
      const text = [ENTRY, ...where].join(" and ");
      return (await rows<EntryRow>(`${text} order by r.at_ms desc, r.index desc limit $${values.length}`, values)).map(
        entryOf,
      );
    },
    async watermarks(producers) {
      interface Row {
        readonly producer: string;
        readonly contiguous: string;
        readonly closed: boolean;
      }
      const found = await rows<Row>(WATERMARKS, [producers]);
      return found.map((row): Watermark => ({ ...row, contiguous: Number(row.contiguous) }));
    },
    async gaps(limit) {
      const found = await rows<{ producer: string; first: string; last: string }>(GAPS, [limit]);
      return found.map((row): Gap => ({ producer: row.producer, first: Number(row.first), last: Number(row.last) }));
    },
    async summarize(workspaceId, fromMs, toMs) {
      const { where, values } = conditions({ ...NO_FILTER, workspaceId, fromMs, toMs });
      const text = [SUMMARY, ...where].join(" and ");
      const found = await rows<TotalRow>(
        `${text} group by provider, model order by cost desc, provider, model`,
        values,
      );
      return found.map(totalOf);
    },
  };
}

const PAYLOADS = `
  select index, r.request_id, s.sealed, s.subject, s.wrapped_key from audit_payload s join audit_record r using (index)
  where r.request_id = $1 and not r.repeated`;

// The first range holds all that is contiguous, if it begins at 1: a multirange keeps its ranges sorted and apart.
const WATERMARKS = `
  select n.name as producer, coalesce(c.contiguous, 0) as contiguous,
         coalesce(g.close_number <= c.contiguous, false) as closed
  from unnest($1::text[]) n(name)
  left join producer p using (name)
  left join producer_progress g on g.producer = p.id
  left join lateral (select upper(r) - 1 as contiguous from unnest(g.accounted) r where lower(r) = 1) c on true`;

const GAPS = `
  select p.name as producer, lower(r) as first, upper(r) - 1 as last
  from producer_progress g
  join producer p on p.id = g.producer,
  unnest(int8multirange(int8range(1, greatest(upper(g.accounted), g.last_number + 1, g.close_number + 1, 1))) - g.accounted) r
  order by p.name, first limit $1`;

const SUMMARY = `
  select provider, model, count(*) as requests, count(*) filter (where outcome in (2, 4)) as failed,
         sum(input_tokens) as input, sum(output_tokens) as output, sum(cost_nanos) as cost
  from audit_record r where not repeated and outcome <> 0`;

const entryOf = (row: EntryRow): LogEntry => ({
  index: Number(row.index),
  leafHash: row.hash,
  producer: row.name,
  number: Number(row.number),
  intentNumber: Number(row.intent_number),
  kind: row.kind,
  atMs: Number(row.at_ms),
  header: row.header,
  payloadOmitted: row.payload_omitted,
});

interface TotalRow {
  readonly provider: string;
  readonly model: string;
  readonly requests: string;
  readonly failed: string;
  readonly input: string;
  readonly output: string;
  readonly cost: string;
}

const totalOf = (row: TotalRow): ModelTotal => ({
  provider: row.provider,
  model: row.model,
  requests: BigInt(row.requests),
  failed: BigInt(row.failed),
  inputTokens: BigInt(row.input),
  outputTokens: BigInt(row.output),
  costNanos: BigInt(row.cost),
});
