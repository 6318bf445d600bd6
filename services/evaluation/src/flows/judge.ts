import { WeirError } from "@weir/kernel";
import { type DefinedEvaluator, isPure } from "../domain/definition.ts";
import { charactersOf, type Item, isRead } from "../domain/item.ts";
import { type Run, type RunResult, resultLine } from "../domain/run.ts";
import type { Assessment } from "../domain/subject.ts";
import type { RunStore } from "../ports.ts";
import { type EvaluatorDependencies, pageEvaluator } from "./evaluators.ts";
import { type ItemDependencies, itemsOf } from "./items.ts";

export interface JudgeDependencies extends EvaluatorDependencies, ItemDependencies {
  readonly store: RunStore;
  readonly sha256: () => { update(text: string): void; hex(): string };
}

export interface Progress {
  readonly judged: number;
  readonly records: number;
  readonly resultsDigest: string | undefined;
}

/**
 * Judges from where the run is, a page at a time: whoever is killed, the next one goes on behind the last page that was stored. Two at once
 * do each other no harm: a page is stored by one of them, and the other reads on behind it.
 */
export async function* continueRun(
  run: Run,
  defined: readonly DefinedEvaluator[],
  signal: AbortSignal,
  deps: JudgeDependencies,
): AsyncGenerator<Progress> {
  const { store } = deps;
  const { id, records } = run;
  if (run.resultsDigest !== undefined) return yield { judged: records, records, resultsDigest: run.resultsDigest };
  const evaluators = defined.map((one) => pageEvaluator(one, deps));
  const asks = defined.some(({ definition }) => !isPure(definition));
  let judged = await store.judged(id);
  while (judged < records) {
    yield { judged, records, resultsDigest: undefined };
    if (signal.aborted) return;
    const items = run.erased ? [] : await itemsOf(run, judged, asks, signal, deps);
    if (items.length === 0)
      throw new WeirError("not_found", "The dataset's texts were erased: nothing more of it can be judged.");
    const assessments: (readonly Assessment[])[] = [];
    for (const { judge } of evaluators) assessments.push(await judge(items, signal));
    const first = judged;
    const results = items.flatMap((item, at): RunResult[] =>
      evaluators.map(({ name, version }, column) => {
        const assessment = assessments[column]?.[at];
        if (assessment === undefined) throw new Error("an evaluator judged fewer records than it was given");
        return { ...assessment, ...aboutOf(item), ordinal: first + at, recordId: item.id, evaluator: name, version };
      }),
    );
    judged = (await store.saveRun(id, results)) ? judged + items.length : await store.judged(id);
  }
  const digest = deps.sha256();
  for await (const lines of resultLines(id, signal, store)) digest.update(lines);
  if (signal.aborted) return;
  const resultsDigest = digest.hex();
  await store.endRun(id, resultsDigest, deps.nowMs());
  yield { judged, records, resultsDigest };
}

/** What is kept about the texts, which are not. */
function aboutOf(item: Item): Pick<RunResult, "length" | "baselineLength" | "label"> {
  if (!isRead(item)) return { length: undefined, baselineLength: undefined, label: undefined };
  const { record, baseline } = item;
  const beside = baseline ?? record.reference;
  return {
    length: record.answer === undefined ? undefined : charactersOf(record.answer),
    baselineLength: beside === undefined ? undefined : charactersOf(beside),
    label: record.label,
  };
}

export async function* resultLines(
  id: string,
  signal: AbortSignal,
  store: Pick<RunStore, "runResults">,
): AsyncGenerator<string> {
  for (let ordinal = 0; !signal.aborted; ) {
    const results = await store.runResults(id, ordinal);
    const last = results.at(-1);
    if (last === undefined) return;
    yield results.map(resultLine).join("");
    ordinal = last.ordinal + 1;
  }
}
