import type pg from "pg";
import type { Judgment } from "../domain/judging/judgment.ts";
import type { JudgmentStore } from "../ports.ts";
import { rowsOf } from "./postgres-rows.ts";

export function postgresJudgments(pool: pg.Pool): JudgmentStore {
  const rows = rowsOf(pool);
  return {
    async find({ name, version }, contents) {
      if (contents.length === 0) return new Map();
      const found = await rows<JudgmentRow>(FIND, [name, version, contents]);
      return new Map(found.map(({ content, ...row }) => [content, judgmentOf(row)]));
    },
    async save({ name, version }, judged, atMs) {
      const stored = judged.map(({ content, judgment, requests }) => ({
        content,
        score: judgment.score ?? null,
        passed: judgment.score === undefined ? null : judgment.passed,
        findings: judgment.findings,
        requests,
      }));
      await rows(SAVE, [name, version, JSON.stringify(stored), atMs]);
    },
  };
}

interface JudgmentRow {
  readonly content: string;
  readonly score: number | null;
  readonly passed: boolean | null;
  readonly findings: string[];
}

const judgmentOf = ({ score, passed, findings }: Omit<JudgmentRow, "content">): Judgment =>
  score === null ? { score: undefined, findings } : { score, passed: passed === true, findings };

const FIND = `
  select encode(j.content, 'hex') as content, score, passed, findings
  from unnest($3::text[]) asked(content) join judgment j on j.content = decode(asked.content, 'hex')
  where evaluator = $1 and version = $2`;

const SAVE = `
  insert into judgment (evaluator, version, content, score, passed, findings, requests, at_ms)
  select $1, $2, decode(content, 'hex'), score, passed, findings, requests, $4
  from jsonb_to_recordset($3) g(content text, score double precision, passed boolean, findings text[], requests text[])
  on conflict do nothing`;
