import { WeirError } from "@weir/kernel";
import { type DefinedEvaluator, isPure } from "../domain/definition.ts";
import { type Item, isRead, type ReadItem } from "../domain/item.ts";
import { EDITION } from "../domain/judging/prompt.ts";
import { notEvaluable, recordEvaluator, type SchemaCheck } from "../domain/record-evaluators.ts";
import type { Assessment } from "../domain/subject.ts";
import { askingEvaluator, type AskingDependencies } from "./asking.ts";

/** Judges a page of records, in their order. Rejects where somebody cannot be asked; what was said by then is stored. */
export interface PageEvaluator {
  readonly name: string;
  readonly version: number;
  readonly judge: (items: readonly Item[], signal: AbortSignal) => Promise<readonly Assessment[]>;
}

export interface EvaluatorDependencies extends AskingDependencies {
  /** @throws WeirError invalid_request */
  readonly compileSchema: (schema: string) => SchemaCheck;
}

/** @throws WeirError invalid_request for one that cannot be used: here, or any more */
export function pageEvaluator(defined: DefinedEvaluator, deps: EvaluatorDependencies): PageEvaluator {
  const { name, version, definition } = defined;
  return { name, version, judge: withoutMissing(judgeOf()) };

  function judgeOf(): (items: readonly ReadItem[], signal: AbortSignal) => Promise<readonly Assessment[]> {
    if (isPure(definition)) {
      const assess = recordEvaluator(definition, deps.compileSchema);
      return (items) => Promise.resolve(items.map(({ record }) => assess(record)));
    }
    if (definition.kind !== "webhook" && deps.models.unusable !== undefined)
      throw new WeirError("invalid_request", `${name}@${version} asks a model: ${deps.models.unusable}`);
    if (definition.kind === "judge" && definition.edition !== EDITION)
      throw new WeirError("invalid_request", `${name}@${version} is of another release: define it once more.`);
    return askingEvaluator({ name, version }, definition, deps);
  }
}

/** A model that gave no answer in a replay fails: nothing could be worse. */
const noAnswer = (failure: string): Assessment => ({ verdict: "fail", score: 0, findings: [`no-answer: ${failure}`] });

function withoutMissing(
  judge: (items: readonly ReadItem[], signal: AbortSignal) => Promise<readonly Assessment[]>,
): PageEvaluator["judge"] {
  return async (items, signal) => {
    const answered = items.filter(isRead).filter(({ failure }) => failure === undefined);
    const assessments = (await judge(answered, signal))[Symbol.iterator]();
    return items.map((item) => {
      if (!isRead(item)) return notEvaluable(item.missing);
      if (item.failure !== undefined) return noAnswer(item.failure);
      const { value } = assessments.next() as IteratorYieldResult<Assessment>;
      return value;
    });
  };
}
