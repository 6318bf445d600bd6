import { WeirError } from "@weir/kernel";
import { canonicalJson } from "../domain/canonical-json.ts";
import { parseLine } from "../domain/dataset.ts";
import type { DefinedEvaluator, Definition } from "../domain/definition.ts";
import { WorstRecords, type Risk } from "../domain/risk.ts";
import type { AnswerSource, EvaluatorVersion, Run } from "../domain/run.ts";
import { type EvaluatorSummary, RunCount } from "../domain/summary.ts";
import type { RunStore } from "../ports.ts";
import { pageEvaluator } from "./evaluators.ts";
import { continueRun, type JudgeDependencies, resultLines } from "./judge.ts";

export interface RunDependencies extends JudgeDependencies {
  readonly store: RunStore;
  readonly newId: (nowMs: number) => string;
}

/** Evaluators as data, datasets, and runs. All reject with WeirError overloaded while the store is away. */
export type Runs = ReturnType<typeof createRuns>;

/** So long an upload takes records; it is forgotten later than that, so that none is committed with a part of it gone. */
export const UPLOAD_MS = 86_400_000;

export function createRuns(deps: RunDependencies) {
  const { store, nowMs } = deps;
  return {
    /** @returns the version. @throws WeirError invalid_request, already_exists */
    async define(name: string, description: string, definition: Definition): Promise<number> {
      pageEvaluator(
        { name, version: 0, description, definition },
        { ...deps, models: { ...deps.models, unusable: undefined } },
      );
      return await store.define(name, description, canonicalJson({ description, definition }), nowMs());
    },
    async startUpload(name: string): Promise<string> {
      const atMs = nowMs();
      const id = deps.newId(atMs);
      await store.startUpload(id, name, "uploaded", atMs);
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
    /** @returns when it was erased first. @throws WeirError not_found */
    erase: (dataset: string): Promise<number> => store.erase(dataset, nowMs()),
    /** @returns the versions that will judge. @throws WeirError not_found, already_exists, invalid_request */
    async create(
      id: string,
      dataset: string,
      asked: readonly EvaluatorVersion[],
      answers: AnswerSource,
    ): Promise<EvaluatorVersion[]> {
      const versions: EvaluatorVersion[] = [];
      for (const wanted of asked) {
        const found = await definedEvaluator(wanted, store);
        pageEvaluator(found, deps);
        versions.push({ name: found.name, version: found.version });
      }
      const names = new Set(versions.map(({ name }) => name));
      if (names.size < versions.length) throw new WeirError("invalid_request", "An evaluator judges once in a run.");
      if (answers.of === "model" && deps.models.unusable !== undefined)
        throw new WeirError("invalid_request", `A replay asks a model: ${deps.models.unusable}`);
      if (answers.of === "run" && (await runOf(answers.run, store)).answers.of !== "model")
        throw new WeirError("invalid_request", `Run ${answers.run} generated no answers.`, { param: "answers_of" });
      const sorted = versions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      await store.createRun(id, dataset, sorted, answers, nowMs());
      return sorted;
    },
    continue: async function* (id: string, signal: AbortSignal) {
      const run = await runOf(id, store);
      const evaluators: DefinedEvaluator[] = [];
      for (const wanted of run.evaluators) evaluators.push(await definedEvaluator(wanted, store));
      yield* continueRun(run, evaluators, signal, deps);
    },
    results: async function* (id: string, signal: AbortSignal) {
      await runOf(id, store);
      yield* resultLines(id, signal, store);
    },
    async summarize(id: string): Promise<EvaluatorSummary[]> {
      const count = new RunCount();
      await everyResult(id, (result) => count.add(result), store);
      return count.summaries();
    },
    async risks(id: string, limit: number): Promise<readonly Risk[]> {
      const worst = new WorstRecords(limit);
      await everyResult(id, (result) => worst.add(result), store);
      return worst.list();
    },
  };
}

/** @throws WeirError not_found */
export async function definedEvaluator(
  { name, version }: EvaluatorVersion,
  store: Pick<RunStore, "definition">,
): Promise<DefinedEvaluator> {
  const found = await store.definition(name, version);
  if (found !== undefined) return found;
  throw new WeirError("not_found", `There is no evaluator ${name}${version === 0 ? "" : `@${version}`} for runs.`);
}

async function runOf(id: string, store: Pick<RunStore, "run">): Promise<Run> {
  const run = await store.run(id);
  if (run === undefined) throw new WeirError("not_found", `There is no run ${id}.`, { param: "run_id" });
  return run;
}

/** Of a run that is finished: an unfinished one would tell less each time it is asked early. */
async function everyResult(
  id: string,
  take: (result: Awaited<ReturnType<RunStore["runResults"]>>[number]) => void,
  store: RunStore,
): Promise<void> {
  const { resultsDigest } = await runOf(id, store);
  if (resultsDigest === undefined) throw new WeirError("invalid_request", `Run ${id} is not finished.`);
  for (let ordinal = 0; ; ) {
    const results = await store.runResults(id, ordinal);
    for (const result of results) take(result);
    const last = results.at(-1);
    if (last === undefined) return;
    ordinal = last.ordinal + 1;
  }
}
