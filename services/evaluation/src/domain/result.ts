import type { DeadLetter } from "./dead-letter.ts";
import { lengthShare } from "./drift/signals.ts";
import type { Assessment, Evaluator, Subject } from "./subject.ts";

/** What came over the bus, read as far as it can be. */
export interface Delivered {
  /** The record as it came; only what is buried needs it. */
  readonly letter: (reason: string, atMs: number) => DeadLetter;
  /** Undefined: it cannot be evaluated, for `reason`. */
  readonly subject: Subject | undefined;
  readonly reason: string;
}

/** An assessment with what it belongs to; as it is stored, and never changed. */
export interface Result extends Assessment {
  readonly requestId: string;
  readonly workspaceId: string;
  readonly evaluator: string;
  readonly version: number;
  readonly atMs: number;
}

/** What drift is looked for in beside scores; only of one evaluator, so that each request counts once. */
export interface Signals {
  readonly model: string;
  /** Since 1970. */
  readonly hour: number;
  /** Undefined: there was none. */
  readonly answer: { readonly refused: boolean; readonly length: number | undefined } | undefined;
}

const HOUR_MS = 3_600_000;
export const hourOf = (atMs: number): number => Math.floor(atMs / HOUR_MS);

/** Undefined: it tells nothing of the model. */
export function signalsOf({
  model,
  endedMs,
  ended,
  makes,
  finish,
  outputTokens,
  ofEvaluation,
}: Subject): Signals | undefined {
  if (makes !== "answer" || ofEvaluation || model === "" || endedMs <= 0) return undefined;
  const hour = hourOf(endedMs);
  if (ended !== "succeeded") return { model, hour, answer: undefined };
  const refused = finish === "refusal" || finish === "content-filter";
  return {
    model,
    hour,
    answer: { refused, length: outputTokens === undefined ? undefined : lengthShare(outputTokens) },
  };
}

/** A request that is to be judged once its texts are in the log. */
export interface SampledRequest {
  readonly requestId: string;
  readonly workspaceId: string;
  readonly model: string;
  readonly endedMs: number;
}

/** All that one request adds to the store. */
export interface Assessed {
  readonly results: readonly Result[];
  /** Undefined: none. */
  readonly signals: Signals | undefined;
  readonly sampled: SampledRequest | undefined;
}

export const resultOf = (evaluator: Evaluator, subject: Subject, atMs: number): Result => ({
  ...evaluator.assess(subject),
  requestId: subject.requestId,
  workspaceId: subject.workspaceId,
  evaluator: evaluator.name,
  version: evaluator.version,
  atMs,
});
