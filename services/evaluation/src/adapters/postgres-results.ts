import type pg from "pg";
import type { Assessed, Result, SampledRequest } from "../domain/result.ts";
import type { Evaluator } from "../domain/subject.ts";
import type { ResultReader, ResultWriter } from "../ports.ts";
import { rowsOf, VERDICT, verdictOf } from "./postgres-rows.ts";

export function postgresResultWriter(pool: pg.Pool): ResultWriter {
  const rows = rowsOf(pool);
  return {
    async register(evaluators) {
      await rows(REGISTER, [
        JSON.stringify(evaluators.map(({ name, version, description }) => ({ name, version, description }))),
      ]);
    },
    async save(assessed) {
      const sampled = assessed.flatMap((one) => one.sampled ?? []);
      await rows(SAVE, [JSON.stringify(assessed.flatMap(resultRows)), JSON.stringify(sampled.map(sampledRow))]);
    },
  };
}

export function resultRows({ results, signals }: Assessed) {
  return results.map((result, at) => {
    // Each request counts once, whatever evaluates it.
    const answer = at === 0 ? signals?.answer : undefined;
    return {
      request_id: result.requestId,
      workspace: result.workspaceId,
      evaluator: result.evaluator,
      version: result.version,
      verdict: VERDICT[result.verdict],
      score: result.score,
      findings: result.findings,
      at_ms: result.atMs,
      model: signals?.model ?? null,
      hour: signals?.hour ?? null,
      refused: answer?.refused ?? null,
      length: answer?.length ?? null,
    };
  });
}

const sampledRow = ({ requestId, workspaceId, model, endedMs }: SampledRequest) => ({
  request_id: requestId,
  workspace: workspaceId,
  model,
  at_ms: endedMs,
});

const REGISTER = `
  insert into evaluator (name, version, description)
  select name, version, description from jsonb_to_recordset($1) g(name text, version int, description text)
  on conflict do nothing`;

/**
 * The statement's parts that store results, with `saved`: those that are new.
 * Only what was not there counts among the signals: a record may come any number of times, also twice in one statement.
 * @param from a part before it, with a comma: nothing is stored where it has no row
 */
export const savedResults = (from = ""): string => `
  given as (
    select distinct on (g.request_id, g.evaluator, g.version) g.* from ${from}jsonb_to_recordset($1) g(
      request_id uuid, workspace text, evaluator text, version int, verdict smallint, score double precision, findings text[],
      at_ms bigint, model text, hour bigint, refused boolean, length double precision)),
  saved as (
    insert into evaluation_result (request_id, workspace, evaluator, version, verdict, score, findings, at_ms)
    select request_id, workspace, evaluator, version, verdict, score, findings, at_ms from given
    on conflict do nothing returning request_id, evaluator, version),
  signals as (
    insert into signal_sum (hour, workspace, model, evaluator, version, scores, score_sum, score_squares,
                            answers, refusals, lengths, length_sum, length_squares)
    select hour, workspace, model, evaluator, version,
           count(*) filter (where verdict in (1, 2)), coalesce(sum(score) filter (where verdict in (1, 2)), 0),
           coalesce(sum(score * score) filter (where verdict in (1, 2)), 0),
           count(refused), count(*) filter (where refused),
           count(length), coalesce(sum(length), 0), coalesce(sum(length * length), 0)
    from given join saved using (request_id, evaluator, version) where model is not null
    group by hour, workspace, model, evaluator, version)`;

const SAVE = `
  with ${savedResults()}
  insert into sampled_request (request_id, workspace, model, at_ms, due_ms)
  select request_id, workspace, model, at_ms, at_ms from jsonb_to_recordset($2) g(request_id uuid, workspace text, model text, at_ms bigint)
  where exists (select from saved where saved.request_id = g.request_id)
  on conflict do nothing`;

interface ResultRow {
  readonly id: string;
  readonly request_id: string;
  readonly workspace: string;
  readonly evaluator: string;
  readonly version: number;
  readonly verdict: number;
  readonly score: number;
  readonly findings: string[];
  readonly at_ms: string;
}

export function postgresResultReader(pool: pg.Pool): ResultReader {
  const rows = rowsOf(pool);
  return {
    evaluators: () =>
      rows<Pick<Evaluator, "name" | "version" | "description">>(
        "select name, version, description from evaluator order by name, version",
        [],
      ),
    async list(filter, before, limit) {
      const where: string[] = [];
      const values: unknown[] = [];
      const add = (condition: string, value: unknown): void => {
        values.push(value);
        where.push(`${condition} $${values.length}`);
      };
      if (filter.requestId !== "") add("request_id =", filter.requestId);
      if (filter.workspaceId !== "") add("workspace =", filter.workspaceId);
      if (filter.evaluator !== "") add("evaluator =", filter.evaluator);
      if (before !== undefined) add("id <", before);
      values.push(limit);
      const text = `select * from evaluation_result ${where.length === 0 ? "" : `where ${where.join(" and ")}`}
        order by id desc limit $${values.length}`;
      return (await rows<ResultRow>(text, values)).map(resultOf);
    },
  };
}

const resultOf = (row: ResultRow): Result & { readonly id: number } => ({
  id: Number(row.id),
  requestId: row.request_id,
  workspaceId: row.workspace,
  evaluator: row.evaluator,
  version: row.version,
  verdict: verdictOf(row.verdict),
  score: row.score,
  findings: row.findings,
  atMs: Number(row.at_ms),
});
