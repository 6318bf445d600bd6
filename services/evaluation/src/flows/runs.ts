import { WeirError } from "@weir/kernel";
import { canonicalJson } from "../domain/canonical-json.ts";
import { parseLine, recordOf } from "../domain/dataset.ts";
import type { Definition } from "../domain/definition.ts";
import { type RecordEvaluator, recordEvaluator, type SchemaCheck } from "../domain/record-evaluators.ts";
import { type EvaluatorVersion, type Run, type RunResult, resultLine } from "../domain/run.ts";
import type { RunStore } from "../ports.ts";

export interface RunDependencies {
  readonly store: RunStore;
  readonly nowMs: () => number;
  readonly newId: (nowMs: number) => string;
  readonly sha256: () => { update(text: string): void; hex(): string };
  /** @throws WeirError invalid_request */
  readonly compileSchema: (schema: string) => SchemaCheck;
}

export interface Progress {
  readonly judged: number;
  readonly records: number;
  readonly resultsDigest: string | undefined;
}

/** Evaluators as data, datasets, and runs. All reject with WeirError overloaded while the store is away. */
export type Runs = ReturnType<typeof createRuns>;

/** So long an upload takes records; it is forgotten later than that, so that none is committed with a part of it gone. */
const UPLOAD_MS = 86_400_000;

export function createRuns(deps: RunDependencies) {
  const { store, nowMs } = deps;
  return {
    /** @returns the version. @throws WeirError invalid_request, already_exists */
    async define(name: string, description: string, definition: Definition): Promise<number> {
      recordEvaluator(definition, deps.compileSchema);
      return await store.define(name, description, canonicalJson({ description, definition }), nowMs());
    },
    async startUpload(name: string): Promise<string> {
      const atMs = nowMs();
      const id = deps.newId(atMs);
      await store.startUpload(id, name, atMs, atMs - 2 * UPLOAD_MS);
      return id;
    },
    append: async (upload: string, first: number, lines: readonly string[]): Promise<number> =>
      await store.append(
        upload,
        first,
        lines.map((line, at) => parseLine(line, first + at)),
        nowMs() - UPLOAD_MS,
      ),
    commit: (upload: string) => store.commit(upload, nowMs(), nowMs() - UPLOAD_MS),
    /** @returns the versions that will judge. @throws WeirError not_found, already_exists */
    async create(id: string, dataset: string, asked: readonly EvaluatorVersion[]): Promise<EvaluatorVersion[]> {
      const versions: EvaluatorVersion[] = [];
      for (const { name, version } of asked) {
        const found = await definitionOf({ name, version }, store);
        versions.push({ name, version: found.version });
      }
      const names = new Set(versions.map(({ name }) => name));
      if (names.size < versions.length) throw new WeirError("invalid_request", "An evaluator judges once in a run.");
      const sorted = versions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      await store.createRun(id, dataset, sorted, nowMs());
      return sorted;
    },
    continue: (id: string, signal: AbortSignal) => continueRun(id, signal, deps),
    results: (id: string, signal: AbortSignal) => resultLines(id, signal, store),
  };
}

async function definitionOf({ name, version }: EvaluatorVersion, store: RunStore) {
  const found = await store.definition(name, version);
  if (found !== undefined) return found;
  throw new WeirError("not_found", `There is no evaluator ${name}${version === 0 ? "" : `@${version}`} for runs.`);
}

async function runOf(id: string, store: RunStore): Promise<Run> {
  const run = await store.run(id);
  if (run === undefined) throw new WeirError("not_found", `There is no run ${id}.`, { param: "run_id" });
  return run;
}

/**
 * Judges from where the run is, a page at a time: whoever is killed, the next one goes on behind the last page that was stored. Two at once
 * do each other no harm: a page is stored by one of them, and the other reads on behind it. Answers are those of the dataset; nothing
 * is generated.
 */
async function* continueRun(id: string, signal: AbortSignal, deps: RunDependencies): AsyncGenerator<Progress> {
  const { store } = deps;
  const run = await runOf(id, store);
  const { records } = run;
  if (run.resultsDigest !== undefined) return yield { judged: records, records, resultsDigest: run.resultsDigest };
  const evaluators: [EvaluatorVersion, RecordEvaluator][] = [];
  for (const asked of run.evaluators) {
    const { definition } = await definitionOf(asked, store);
    evaluators.push([asked, recordEvaluator(definition, deps.compileSchema)]);
  }
  let judged = await store.judged(id);
  while (judged < records) {
    yield { judged, records, resultsDigest: undefined };
    if (signal.aborted) return;
    const lines = await store.lines(run.upload, judged);
    const results = lines.flatMap((line, at) => assess(line, judged + at, evaluators));
    judged = (await store.saveRun(id, results)) ? judged + lines.length : await store.judged(id);
  }
  const digest = deps.sha256();
  for await (const lines of resultLines(id, signal, store)) digest.update(lines);
  if (signal.aborted) return;
  const resultsDigest = digest.hex();
  await store.endRun(id, resultsDigest, deps.nowMs());
  yield { judged, records, resultsDigest };
}

function assess(
  line: string,
  ordinal: number,
  evaluators: readonly (readonly [EvaluatorVersion, RecordEvaluator])[],
): RunResult[] {
  const record = recordOf(line);
  return evaluators.map(([{ name, version }, judge]) => ({
    ...judge(record),
    ordinal,
    recordId: record.id,
    evaluator: name,
    version,
  }));
}

async function* resultLines(id: string, signal: AbortSignal, store: RunStore): AsyncGenerator<string> {
  await runOf(id, store);
  for (let ordinal = 0; !signal.aborted; ) {
    const results = await store.runResults(id, ordinal);
    const last = results.at(-1);
    if (last === undefined) return;
    yield results.map(resultLine).join("");
    ordinal = last.ordinal + 1;
  }
}
