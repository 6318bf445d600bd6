import type { Sha256 } from "@weir/proofs";
import type pg from "pg";
import type { LogLeaf } from "../domain/log-leaf.ts";
import { KIND } from "../domain/record.ts";
import type { ProofReader } from "../ports.ts";
import { NO_FILTER } from "../domain/log-entry.ts";
import { HEAD, type HeadRow, headOf, logIdOf, signingKeysOf, sizeOf } from "./postgres-heads.ts";
import { conditions } from "./record-filter.ts";
import { subtreeRoot } from "./postgres-subtrees.ts";
import { asUnavailable } from "./unavailable.ts";

/** An answer of an export: well under what a message may have. */
const MOST_LEAVES = 500;
const MOST_BYTES = 1 << 20;

interface LeafRow {
  readonly index: string;
  readonly hash: Buffer;
  readonly producer: string;
  readonly number: string;
  readonly kind: number;
  readonly intent_number: string;
  readonly intent_producer: string | null;
  readonly payload_omitted: boolean | null;
  /** Null: retention removed it, and all that follows. */
  readonly header: Buffer | null;
  readonly payload_digest: Buffer | null;
  readonly sealed: Buffer | null;
  readonly payload_there: boolean;
  readonly at_ms: string | null;
  readonly request_id: string | null;
  readonly workspace: string | null;
  readonly key_id: string | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly outcome: number | null;
  readonly status: string | null;
  readonly input_tokens: string | null;
  readonly output_tokens: string | null;
  readonly cost_nanos: string | null;
}

const leavesQuery = (payloads: boolean, where: readonly string[], first: number): string => `
  select l.index, l.hash, p.name as producer, l.number, l.kind, l.intent_number, i.name as intent_producer, r.payload_omitted, r.header,
    r.payload_digest, ${payloads ? "s.sealed" : "null::bytea as sealed"}, s.index is not null as payload_there, r.at_ms, r.request_id, r.workspace, r.key_id, r.model, r.provider,
    r.outcome, r.status, r.input_tokens, r.output_tokens, r.cost_nanos
  from audit_leaf l join producer p on p.id = l.producer left join producer i on i.id = l.intent_producer
  left join audit_record r on r.index = l.index left join audit_payload s on s.index = l.index
  where ${["true", ...where].join(" and ")} and l.index >= $${first} and l.index < $${first + 1} order by l.index limit $${first + 2}`;

export function postgresProofs(pool: pg.Pool, sha256: Sha256): ProofReader {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asUnavailable(error);
    }
  };
  return {
    logId: () => guarded(() => logIdOf(pool)),
    signingKeys: () => guarded(() => signingKeysOf(pool)),
    size: () => guarded(() => sizeOf(pool)),
    heads: (limit, beforeSize) =>
      guarded(async () => {
        const text = `${HEAD} where $2::bigint is null or size < $2 order by size desc limit $1`;
        return (await pool.query<HeadRow>(text, [limit, beforeSize ?? null])).rows.map(headOf);
      }),
    head: (size) =>
      guarded(async () => {
        const { rows } =
          size === undefined
            ? await pool.query<HeadRow>(`${HEAD} order by size desc limit 1`)
            : await pool.query<HeadRow>(`${HEAD} where size = $1`, [size]);
        return rows[0] === undefined ? undefined : headOf(rows[0]);
      }),
    subtreeRoots: (subtrees) =>
      guarded(async () => {
        const roots: Uint8Array[] = [];
        for (const subtree of subtrees) roots.push(await subtreeRoot(pool, sha256, subtree));
        return roots;
      }),
    indexOfRequest: (requestId) =>
      guarded(async () => {
        const { rows } = await pool.query<{ index: string }>(
          `select index from audit_record where request_id = $1 and not repeated order by (kind = ${KIND.intent}), index limit 1`,
          [requestId],
        );
        return rows[0] === undefined ? undefined : Number(rows[0].index);
      }),
    leaves: (from, to, payloads, filter) =>
      guarded(async () => {
        const { where, values } = conditions(filter ?? NO_FILTER);
        const text = leavesQuery(payloads, where, values.length + 1);
        const { rows } = await pool.query<LeafRow>(text, [...values, from, to, MOST_LEAVES]);
        const leaves: LogLeaf[] = [];
        let bytes = 0;
        for (const row of rows) {
          bytes += (row.header?.length ?? 0) + (row.sealed?.length ?? 0);
          // At least one, however large it is.
          if (leaves.length > 0 && bytes > MOST_BYTES) break;
          leaves.push(leafOf(row));
        }
        return leaves;
      }),
  };
}

const NOTHING = new Uint8Array(0);

const leafOf = (row: LeafRow): LogLeaf => ({
  index: Number(row.index),
  storedHash: row.hash,
  producer: row.producer,
  number: Number(row.number),
  kind: row.kind,
  intentNumber: Number(row.intent_number),
  intentProducer: row.intent_producer ?? "",
  payloadOmitted: row.payload_omitted ?? false,
  header: row.header ?? NOTHING,
  payloadDigest: row.payload_digest ?? NOTHING,
  sealedPayload: row.sealed ?? NOTHING,
  headerRemoved: row.header === null,
  payloadRemoved: row.payload_digest !== null && !row.payload_there,
  columns: {
    atMs: Number(row.at_ms ?? 0),
    requestId: row.request_id ?? "",
    workspaceId: row.workspace ?? "",
    keyId: row.key_id ?? "",
    model: row.model ?? "",
    provider: row.provider ?? "",
    outcome: row.outcome ?? 0,
    status: BigInt(row.status ?? 0),
    inputTokens: BigInt(row.input_tokens ?? 0),
    outputTokens: BigInt(row.output_tokens ?? 0),
    costNanos: BigInt(row.cost_nanos ?? 0),
  },
});
