import { WeirError } from "@weir/kernel";
import type { DeadLetter } from "../domain/dead-letter.ts";
import { type Assessed, type Delivered, resultOf, type SampledRequest, signalsOf } from "../domain/result.ts";
import type { Evaluator, Subject } from "../domain/subject.ts";
import type { ResultWriter } from "../ports.ts";

export interface EvaluateDependencies {
  readonly evaluators: readonly Evaluator[];
  readonly results: Pick<ResultWriter, "save">;
  /** Undefined: its answer is not one of the share that is judged. */
  readonly sampled: (subject: Subject) => SampledRequest | undefined;
  /** Puts it where it waits for an operator. Where it rejects, all that was delivered comes again. */
  readonly bury: (letter: DeadLetter, cause: unknown) => Promise<void>;
  readonly nowMs: () => number;
  /** Rejects when the service ends. */
  readonly wait: (ms: number) => Promise<void>;
  readonly events: {
    readonly saved: (results: number) => void;
    readonly storeAway: (error: WeirError) => void;
  };
}

interface Work {
  readonly delivered: Delivered;
  readonly assessed: Assessed;
}

const CHUNK = 500;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

/**
 * Evaluates what was delivered and resolves when the results are stored. What cannot be evaluated, or makes an evaluator or the database
 * fail, becomes a dead letter, and what lies behind it goes on. While the store is away it waits. Rejects when the service ends.
 */
export async function evaluateAll(delivered: Iterable<Delivered>, deps: EvaluateDependencies): Promise<void> {
  let chunk: Work[] = [];
  for (const item of delivered) {
    const work = await assessed(item, deps);
    if (work === undefined) continue;
    chunk.push(work);
    if (chunk.length < CHUNK) continue;
    await save(chunk, deps);
    chunk = [];
  }
  await save(chunk, deps);
}

async function assessed(delivered: Delivered, deps: EvaluateDependencies): Promise<Work | undefined> {
  const { subject } = delivered;
  if (subject === undefined) {
    await bury(delivered, delivered.reason, undefined, deps);
    return undefined;
  }
  try {
    const atMs = deps.nowMs();
    const results = deps.evaluators.map((evaluator) => resultOf(evaluator, subject, atMs));
    return { delivered, assessed: { results, signals: signalsOf(subject), sampled: deps.sampled(subject) } };
  } catch (error) {
    await bury(delivered, "an evaluator failed on it", error, deps);
    return undefined;
  }
}

async function save(work: readonly Work[], deps: EvaluateDependencies): Promise<void> {
  const [first] = work;
  if (first === undefined) return;
  const all = work.map((item) => item.assessed);
  const refusal = await refusalOf(() => deps.results.save(all), deps);
  if (refusal === undefined) return deps.events.saved(all.reduce((sum, { results }) => sum + results.length, 0));
  if (work.length === 1) return bury(first.delivered, "the database refuses its results", refusal, deps);
  const middle = work.length >> 1;
  await save(work.slice(0, middle), deps);
  await save(work.slice(middle), deps);
}

const bury = (delivered: Delivered, reason: string, cause: unknown, deps: EvaluateDependencies): Promise<void> =>
  deps.bury(delivered.letter(reason, deps.nowMs()), cause);

/** Tries for as long as the store is away. Resolves with undefined once it is done, or with the error by which the store refused. */
async function refusalOf(task: () => Promise<void>, deps: EvaluateDependencies): Promise<unknown> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      await task();
      return undefined;
    } catch (error) {
      if (!(error instanceof WeirError) || error.reason !== "overloaded") return error;
      deps.events.storeAway(error);
    }
    await deps.wait(waitMs);
  }
}
