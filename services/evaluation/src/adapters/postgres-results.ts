import type pg from "pg";
import type { Result } from "../domain/result.ts";
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
    async save(results) {
      const stored = results.map((result) => ({
        request_id: result.requestId,
        workspace: result.workspaceId,
        evaluator: result.evaluator,
        version: result.version,
        verdict: VERDICT[result.verdict],
        score: result.score,
        findings: result.findings,
        at_ms: result.atMs,
      }));
      await rows(SAVE, [JSON.stringify(stored)]);
    },
  };
}

const REGISTER = `
  insert into evaluator (name, version, description)
  select name, version, description from jsonb_to_recordset($1) g(name text, version int, description text)
  on conflict do nothing`;

const SAVE = `
  insert into evaluation_result (request_id, workspace, evaluator, version, verdict, score, findings, at_ms)
  select request_id, workspace, evaluator, version, verdict, score, findings, at_ms
  from jsonb_to_recordset($1) g(request_id uuid, workspace text, evaluator text, version int, verdict smallint,
                                score double precision, findings text[], at_ms bigint)
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
