import { hash } from "node:crypto";
import { WeirError } from "@weir/kernel";
import type pg from "pg";
import type { DefinedEvaluator } from "../domain/definition.ts";
import type { EvaluatorVersion } from "../domain/run.ts";
import type { RunStore } from "../ports.ts";
import { postgresDatasets } from "./postgres-datasets.ts";
import { inTransaction, isDuplicate, rowsOf, VERDICT, verdictOf } from "./postgres-rows.ts";

const PAGE = 2_000;

export function postgresRuns(pool: pg.Pool): RunStore {
  const rows = rowsOf(pool);
  return {
    ...postgresDatasets(pool),
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
    async createRun(id, dataset, evaluators, atMs) {
      const found = await rows<{ same: boolean }>(CREATE_RUN, [id, dataset, JSON.stringify(evaluators), atMs]);
      if (found.length === 0) throw new WeirError("not_found", `There is no dataset ${dataset}.`, { param: "dataset" });
      const [same] = await rows("select from run where id = $1 and dataset = decode($2, 'hex') and evaluators = $3", [
        id,
        dataset,
        JSON.stringify(evaluators),
      ]);
      if (same === undefined) throw new WeirError("already_exists", `Run ${id} is another run.`, { param: "run_id" });
    },
    async run(id) {
      const [row] = await rows<{ upload: string; records: number; evaluators: string; digest: string | null }>(RUN, [
        id,
      ]);
      if (row === undefined) return undefined;
      const { upload, records, digest } = row;
      return {
        id,
        upload,
        records,
        evaluators: JSON.parse(row.evaluators) as EvaluatorVersion[],
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
      return found.map(({ record_id: recordId, verdict, ...row }) => ({
        ...row,
        recordId,
        verdict: verdictOf(verdict),
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
      return found.map(({ record_id: recordId, verdict_a, score_a, verdict_b, score_b }) => ({
        recordId,
        baseline: verdict_a === null ? undefined : { verdict: verdictOf(verdict_a), score: score_a ?? 0 },
        candidate: verdict_b === null ? undefined : { verdict: verdictOf(verdict_b), score: score_b ?? 0 },
      }));
    },
  };
}

interface ResultRow {
  readonly ordinal: number;
  readonly record_id: string;
  readonly evaluator: string;
  readonly version: number;
  readonly verdict: number;
  readonly score: number;
  readonly findings: string[];
}

interface PairRow {
  readonly record_id: string;
  readonly verdict_a: number | null;
  readonly score_a: number | null;
  readonly verdict_b: number | null;
  readonly score_b: number | null;
}

const CREATE_RUN = `
  with known as (select digest from dataset where digest = decode($2, 'hex')),
  made as (insert into run (id, dataset, evaluators, at_ms) select $1, digest, $3, $4 from known on conflict do nothing)
  select true as same from known`;

const RUN = `
  select d.upload, d.records, r.evaluators, encode(e.results_digest, 'hex') as digest
  from run r join dataset d on d.digest = r.dataset left join run_end e on e.run = r.id where r.id = $1`;

const SAVE = `
  insert into run_result (run, ordinal, evaluator, version, record_id, verdict, score, findings)
  select $1, ordinal, evaluator, version, record_id, verdict, score, findings
  from jsonb_to_recordset($2) g(ordinal int, evaluator text, version int, record_id text, verdict smallint,
                                score double precision, findings text[])`;

// Whole records: the page goes on from the record behind its last.
const RESULTS = `
  select ordinal, record_id, evaluator, version, verdict, score, findings from run_result
  where run = $1 and ordinal >= $2 and ordinal < $2 + $3 order by ordinal, evaluator, version`;

const PAIRS = `
  with a as (select record_id, verdict, score from run_result
             where run = $1 and evaluator = $3 and record_id > $4 order by record_id limit $5),
       b as (select record_id, verdict, score from run_result
             where run = $2 and evaluator = $3 and record_id > $4 order by record_id limit $5)
  select record_id, a.verdict as verdict_a, a.score as score_a, b.verdict as verdict_b, b.score as score_b
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
