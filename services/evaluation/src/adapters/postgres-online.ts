import type pg from "pg";
import type { Sampling } from "../domain/sampling.ts";
import { hourOf } from "../domain/result.ts";
import type { OnlineStore } from "../ports.ts";
import { resultRows, savedResults } from "./postgres-results.ts";
import { rowsOf } from "./postgres-rows.ts";

export function postgresOnline(pool: pg.Pool): OnlineStore {
  const rows = rowsOf(pool);
  return {
    async sampling() {
      const found = await rows<SamplingRow>(SAMPLING, []);
      return found.map(({ workspace: workspaceId, share, evaluators, embedding_model: embeddingModel }) => ({
        workspaceId,
        share,
        evaluators: JSON.parse(evaluators) as Sampling["evaluators"],
        embeddingModel,
      }));
    },
    async putSampling({ workspaceId, share, evaluators, embeddingModel }, atMs) {
      await rows(PUT, [workspaceId, share, JSON.stringify(evaluators), embeddingModel, atMs]);
    },
    async claim(most, nowMs, untilMs) {
      const found = await rows<ClaimRow>(CLAIM, [most, nowMs, untilMs]);
      return found.map(({ request_id: requestId, workspace: workspaceId, model, at_ms, attempts }) => ({
        requestId,
        workspaceId,
        model,
        endedMs: Number(at_ms),
        attempts,
      }));
    },
    async finish({ requestId, workspaceId, model, endedMs }, { results, embedding }) {
      const hour = hourOf(endedMs);
      const stored = resultRows({ results, signals: { model, hour, answer: undefined }, sampled: undefined });
      await rows(FINISH, [
        JSON.stringify(stored),
        requestId,
        hour,
        workspaceId,
        model,
        embedding?.embedder ?? null,
        embedding?.vector ?? null,
      ]);
    },
  };
}

interface SamplingRow {
  readonly workspace: string;
  readonly share: number;
  readonly evaluators: string;
  readonly embedding_model: string;
}

interface ClaimRow {
  readonly request_id: string;
  readonly workspace: string;
  readonly model: string;
  readonly at_ms: string;
  readonly attempts: number;
}

const SAMPLING = `
  select distinct on (workspace) workspace, share, evaluators, embedding_model from sampling order by workspace, id desc`;

const PUT = `
  insert into sampling (workspace, share, evaluators, embedding_model, at_ms) values ($1, $2, $3, $4, $5)`;

const CLAIM = `
  update sampled_request s set due_ms = $3, attempts = attempts + 1
  from (select request_id from sampled_request where due_ms <= $2 order by due_ms limit $1 for update skip locked) due
  where s.request_id = due.request_id
  returning s.request_id, workspace, model, at_ms, attempts`;

// Who was overtaken by another (its claim had run out) adds nothing: the request is not there any more.
const FINISH = `
  with taken as (delete from sampled_request where request_id = $2 returning request_id),
  ${savedResults("taken, ")}
  insert into embedding_sum (hour, workspace, model, embedder, vectors, vector_sum)
  select $3, $4, $5, $6, 1, $7::double precision[] from taken where $6::text is not null`;
