import type pg from "pg";
import type { Sums } from "../domain/statistics/mean-shift.ts";
import type { VectorSums } from "../domain/statistics/centroid-shift.ts";
import type { SeenModel, SignalReader } from "../ports.ts";
import { rowsOf } from "./postgres-rows.ts";

export function postgresSignals(pool: pg.Pool): SignalReader {
  const rows = rowsOf(pool);
  return {
    async seen({ workspaceId, model }, fromHour, toHour) {
      const values = [fromHour, toHour, workspaceId, model];
      const seen = new Map<string, Mutable>();
      const of = (row: { readonly workspace: string; readonly model: string }): Mutable => {
        const id = JSON.stringify([row.workspace, row.model]);
        let found = seen.get(id);
        if (found === undefined) {
          found = {
            workspaceId: row.workspace,
            model: row.model,
            scores: new Map(),
            refusals: { count: 0, hits: 0 },
            lengths: { count: 0, sum: 0, squares: 0 },
            embeddings: new Map(),
          };
          seen.set(id, found);
        }
        return found;
      };
      for (const row of await rows<SignalRow>(SIGNALS, values)) {
        const found = of(row);
        const by = `${row.evaluator}@${row.version}`;
        if (row.scores > 0) found.scores.set(by, { count: row.scores, sum: row.score_sum, squares: row.score_squares });
        found.refusals = { count: found.refusals.count + row.answers, hits: found.refusals.hits + row.refusals };
        found.lengths = {
          count: found.lengths.count + row.lengths,
          sum: found.lengths.sum + row.length_sum,
          squares: found.lengths.squares + row.length_squares,
        };
      }
      for (const row of await rows<EmbeddingRow>(EMBEDDINGS, values))
        of(row).embeddings.set(row.embedder, { count: row.vectors, sum: row.vector_sum });
      return [...seen.values()];
    },
  };
}

interface Mutable extends SeenModel {
  readonly scores: Map<string, Sums>;
  refusals: SeenModel["refusals"];
  lengths: Sums;
  readonly embeddings: Map<string, VectorSums>;
}

interface SignalRow {
  readonly workspace: string;
  readonly model: string;
  readonly evaluator: string;
  readonly version: number;
  readonly scores: number;
  readonly score_sum: number;
  readonly score_squares: number;
  readonly answers: number;
  readonly refusals: number;
  readonly lengths: number;
  readonly length_sum: number;
  readonly length_squares: number;
}

interface EmbeddingRow {
  readonly workspace: string;
  readonly model: string;
  readonly embedder: string;
  readonly vectors: number;
  readonly vector_sum: number[];
}

const WHERE = "hour >= $1 and hour < $2 and ($3 = '' or workspace = $3) and ($4 = '' or model = $4)";

const SIGNALS = `
  select workspace, model, evaluator, version, sum(scores)::int as scores, sum(score_sum) as score_sum, sum(score_squares) as score_squares,
         sum(answers)::int as answers, sum(refusals)::int as refusals,
         sum(lengths)::int as lengths, sum(length_sum) as length_sum, sum(length_squares) as length_squares
  from signal_sum where ${WHERE}
  group by workspace, model, evaluator, version order by workspace, model, evaluator, version`;

// Vectors of another length are another embedding, whatever it calls itself.
const EMBEDDINGS = `
  with chosen as (select * from embedding_sum where ${WHERE}),
  added as (
    select workspace, model, embedder, cardinality(vector_sum) as dimensions, at, sum(value) as value
    from chosen, unnest(vector_sum) with ordinality v(value, at) group by workspace, model, embedder, cardinality(vector_sum), at)
  select workspace, model, embedder || ':' || dimensions as embedder, array_agg(value order by at) as vector_sum,
         (select sum(vectors)::int from chosen c where c.workspace = a.workspace and c.model = a.model and c.embedder = a.embedder
            and cardinality(c.vector_sum) = a.dimensions) as vectors
  from added a group by workspace, model, embedder, dimensions order by workspace, model, embedder, dimensions`;
