import { ROUNDING } from "../domain/unit-vector.ts";
import type { SemanticCache } from "../ports.ts";
import { openedAnswer } from "./kept-answer.ts";
import { veiled } from "./question-space.ts";
import { Patience, putAnswer, type Rows } from "./semantic-rows.ts";

/**
 * Where the database has pgvector (https://github.com/pgvector/pgvector): it compares. Spaces are small enough for that to be exact: an index for
 * near ones would pass over some that are in the space that is asked for.
 */
export function pgvectorSemanticCache(
  rows: Rows,
  nowMs: () => number,
  onError: (error: unknown) => void,
  onEvicted: (entries: number) => void = () => undefined,
): SemanticCache {
  const patience = new Patience(nowMs, onError);
  return {
    nearest: ({ name, secret }, vector, { atLeast, madeFromMs }) =>
      patience.try(async () => {
        const [best] = await rows<{ readonly similarity: number; readonly sealed: Uint8Array | null }>(NEAREST, [
          name,
          textOf(veiled(vector, secret)),
          Math.round(nowMs()),
          // All of them are younger than minus infinity.
          Math.max(0, Math.round(madeFromMs)),
          vector.length,
          atLeast - ROUNDING,
        ]);
        if (best === undefined) return undefined;
        return {
          similarity: best.similarity,
          answer: best.sealed === null ? undefined : openedAnswer(best.sealed, secret),
        };
      }),
    put(space, vector, answer, { ttlMs, mostEntries }) {
      const kept = { untilMs: nowMs() + ttlMs, mostEntries };
      void patience.try(async () => {
        const evicted = await putAnswer(rows, "embedding", space, textOf(veiled(vector, space.secret)), answer, kept);
        if (evicted > 0) onEvicted(evicted);
      });
    },
  };
}

const NEAREST = `
  select similarity, case when similarity >= $6 then sealed end as sealed
  from (
    select 1 - (embedding <=> $2::vector) as similarity, sealed, id
    from semantic_answer
    where space = $1 and until_ms > $3 and made_ms >= $4 and embedding is not null and vector_dims(embedding) = $5
  ) compared
  order by similarity desc, id desc limit 1`;

const textOf = (vector: Float32Array): string => `[${vector.join(",")}]`;

/** Where pgvector is; no row: it is not there. */
export const FIND_VECTOR = `
  select nspname as schema, exists (
    select from pg_attribute
    where attrelid = to_regclass('router.semantic_answer') and attname = 'embedding' and not attisdropped
  ) as prepared
  from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'vector'`;

/** @param schema where pgvector is, as it is quoted in SQL */
export const addVector = (schema: string): string =>
  `alter table router.semantic_answer add column if not exists embedding ${schema}.vector`;
