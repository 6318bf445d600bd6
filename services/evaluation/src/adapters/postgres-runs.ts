import { hash } from "node:crypto";
import { WeirError } from "@weir/kernel";
import type pg from "pg";
import type { DefinedEvaluator } from "../domain/definition.ts";
import type { AnswerSource, EvaluatorVersion } from "../domain/run.ts";
import type { RunStore } from "../ports.ts";
import { postgresAnswers } from "./postgres-answers.ts";
import { postgresDatasets, sourceOf } from "./postgres-datasets.ts";
import { inTransaction, isDuplicate, labelOf, LABEL, rowsOf, VERDICT, verdictOf } from "./postgres-rows.ts";
import type { TextKeys } from "./sealed-texts.ts";

const PAGE = 2_000;

export function postgresRuns(pool: pg.Pool, keys: TextKeys): RunStore {
  const rows = rowsOf(pool);
  return {
    ...postgresDatasets(pool, keys),
    ...postgresAnswers(pool, keys),
    define: (name, description, text, atMs) =>
      inTransaction(pool, (client) => define(client, name, description, text, atMs)),
    async definition(name, version) {
      const [row] = await rows<{ version: number; text: string }>(
        "select version, text from definition where name = $1 and (version = $2 or $2 = 0) order by version desc limit 1",
        [name, version],
      );
      if (row === undefined) return undefined;
      return {
        name,
        version: row.version,
        ...(JSON.parse(row.text) as Pick<DefinedEvaluator, "description" | "definition">),
      };
    },
    async createRun(id, dataset, evaluators, answers, atMs) {
      const values = [id, dataset, JSON.stringify(evaluators), ...answerColumns(answers)];
      const found = await rows<{ erased: boolean }>(CREATE_RUN, [...values, atMs]);
      const [known] = found;
      if (known === undefined)
        throw new WeirError("not_found", `There is no dataset ${dataset}.`, { param: "dataset" });
      const [same] = await rows(SAME_RUN, values);
      if (same !== undefined) return;
      if (known.erased) throw new WeirError("not_found", `Dataset ${dataset} was erased.`, { param: "dataset" });
      throw new WeirError("already_exists", `Run ${id} is another run.`, { param: "run_id" });
    },
    async run(id) {
      const [row] = await rows<RunRow>(RUN, [id]);
      if (row === undefined) return undefined;
      const { upload, records, digest, erased } = row;
      return {
        id,
        upload,
        source: sourceOf(row.source),
        records,
        erased,
        evaluators: JSON.parse(row.evaluators) as EvaluatorVersion[],
        answers: answerSourceOf(row),
        resultsDigest: digest ?? undefined,
      };
    },
    async judged(run) {
      const [row] = await rows<{ judged: number }>(
        "select coalesce(max(ordinal) + 1, 0) as judged from run_result where run = $1",
        [run],
      );
      return row?.judged ?? 0;
    },
    async saveRun(run, results) {
      const stored = results.map((result) => ({
        ordinal: result.ordinal,
        evaluator: result.evaluator,
        version: result.version,
        record_id: result.recordId,
        verdict: VERDICT[result.verdict],
        score: result.score,
        findings: result.findings,
        length: result.length ?? null,
        baseline_length: result.baselineLength ?? null,
        label: result.label === undefined ? null : LABEL[result.label],
      }));
      try {
        await rows(SAVE, [run, JSON.stringify(stored)]);
        return true;
      } catch (error) {
        if (isDuplicate(error)) return false;
        throw error;
      }
    },
    async runResults(run, ordinal) {
      const found = await rows<ResultRow>(RESULTS, [run, ordinal, PAGE]);
      return found.map((row) => ({
        ordinal: row.ordinal,
        recordId: row.record_id,
        evaluator: row.evaluator,
        version: row.version,
        verdict: verdictOf(row.verdict),
        score: row.score,
        findings: row.findings,
        length: row.length ?? undefined,
        baselineLength: row.baseline_length ?? undefined,
        label: labelOf(row.label),
      }));
    },
    async endRun(run, digest, atMs) {
      await rows(
        "insert into run_end (run, results_digest, at_ms) values ($1, decode($2, 'hex'), $3) on conflict do nothing",
        [run, digest, atMs],
      );
    },
    async pairs(baseline, candidate, evaluator, after) {
      const found = await rows<PairRow>(PAIRS, [baseline, candidate, evaluator, after, PAGE]);
      return found.map(({ record_id: recordId, verdict_a, score_a, length_a, verdict_b, score_b, length_b }) => ({
        recordId,
        baseline: judgedOf(verdict_a, score_a, length_a),
        candidate: judgedOf(verdict_b, score_b, length_b),
      }));
    },
  };
}

const judgedOf = (verdict: number | null, score: number | null, length: number | null) =>
  verdict === null ? undefined : { verdict: verdictOf(verdict), score: score ?? 0, length: length ?? undefined };

const answerColumns = (answers: AnswerSource): [candidate: string | null, answersOf: string | null] => [
  answers.of === "model" ? answers.model : null,
  answers.of === "run" ? answers.run : null,
];

function answerSourceOf({ candidate, answers_of: run }: RunRow): AnswerSource {
  if (candidate !== null) return { of: "model", model: candidate };
  return run === null ? { of: "dataset" } : { of: "run", run };
}

interface RunRow {
  readonly upload: string;
  readonly source: number;
  readonly records: number;
  readonly evaluators: string;
  readonly candidate: string | null;
  readonly answers_of: string | null;
  readonly erased: boolean;
  readonly digest: string | null;
}

interface ResultRow {
  readonly ordinal: number;
  readonly record_id: string;
  readonly evaluator: string;
  readonly version: number;
  readonly verdict: number;
  readonly score: number;
  readonly findings: string[];
  readonly length: number | null;
  readonly baseline_length: number | null;
  readonly label: number | null;
}

interface PairRow {
  readonly record_id: string;
  readonly verdict_a: number | null;
  readonly score_a: number | null;
  readonly length_a: number | null;
  readonly verdict_b: number | null;
  readonly score_b: number | null;
  readonly length_b: number | null;
}

const CREATE_RUN = `
  with known as (
    select d.digest, exists (select from dataset_erasure e where e.dataset = d.digest) as erased
    from dataset d where d.digest = decode($2, 'hex')),
  made as (
    insert into run (id, dataset, evaluators, candidate, answers_of, at_ms)
    select $1, digest, $3, $4, $5, $6 from known where not erased on conflict do nothing)
  select erased from known`;

const SAME_RUN = `
  select from run where id = $1 and dataset = decode($2, 'hex') and evaluators = $3
    and candidate is not distinct from $4 and answers_of is not distinct from $5`;

const RUN = `
  select d.upload, u.source, d.records, r.evaluators, r.candidate, r.answers_of, encode(e.results_digest, 'hex') as digest,
         exists (select from dataset_erasure x where x.dataset = d.digest) as erased
  from run r join dataset d on d.digest = r.dataset join upload u on u.id = d.upload left join run_end e on e.run = r.id
  where r.id = $1`;

const SAVE = `
  insert into run_result (run, ordinal, evaluator, version, record_id, verdict, score, findings, length, baseline_length, label)
  select $1, ordinal, evaluator, version, record_id, verdict, score, findings, length, baseline_length, label
  from jsonb_to_recordset($2) g(ordinal int, evaluator text, version int, record_id text, verdict smallint,
                                score double precision, findings text[], length int, baseline_length int, label smallint)`;

// Whole records: the page goes on from the record behind its last.
const RESULTS = `
  select ordinal, record_id, evaluator, version, verdict, score, findings, length, baseline_length, label from run_result
  where run = $1 and ordinal >= $2 and ordinal < $2 + $3 order by ordinal, evaluator, version`;

const PAIRS = `
  with a as (select record_id, verdict, score, length from run_result
             where run = $1 and evaluator = $3 and record_id > $4 order by record_id limit $5),
       b as (select record_id, verdict, score, length from run_result
             where run = $2 and evaluator = $3 and record_id > $4 order by record_id limit $5)
  select record_id, a.verdict as verdict_a, a.score as score_a, a.length as length_a,
         b.verdict as verdict_b, b.score as score_b, b.length as length_b
  from a full join b using (record_id)
  -- Behind the end of a page that was cut, the other side may not have been read yet.
  where record_id <= least((select case when count(*) = $5 then max(record_id) end from a),
                           (select case when count(*) = $5 then max(record_id) end from b))
     or ((select count(*) from a) < $5 and (select count(*) from b) < $5)
  order by record_id`;

async function define(
  client: pg.PoolClient,
  name: string,
  description: string,
  text: string,
  atMs: number,
): Promise<number> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('weir.evaluation.define ' || $1, 0))", [name]);
  const digest = hash("sha256", text);
  const found = await client.query<{ version: number }>(
    "select version from definition where name = $1 and digest = decode($2, 'hex')",
    [name, digest],
  );
  if (found.rows[0] !== undefined) return found.rows[0].version;
  const newest = await client.query<{ known: number; defined: number }>(
    `select (select coalesce(max(version), 0) from evaluator where name = $1) as known,
            (select coalesce(max(version), 0) from definition where name = $1) as defined`,
    [name],
  );
  const { known, defined } = newest.rows[0] ?? { known: 0, defined: 0 };
  if (known > defined) throw new WeirError("already_exists", `${name} is built in.`, { param: "name" });
  await client.query("insert into evaluator (name, version, description) values ($1, $2, $3)", [
    name,
    defined + 1,
    description,
  ]);
  await client.query(
    "insert into definition (name, version, text, digest, at_ms) values ($1, $2, $3, decode($4, 'hex'), $5)",
    [name, defined + 1, text, digest, atMs],
  );
  return defined + 1;
}
