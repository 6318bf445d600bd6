import { WeirError } from "@weir/kernel";
import { type Counts, PairCount } from "../domain/comparison.ts";
import { Bootstrap, type Interval } from "../domain/statistics/bootstrap.ts";
import { SeededRandom } from "../domain/statistics/random.ts";
import type { RunStore } from "../ports.ts";

export interface CompareDependencies {
  readonly store: Pick<RunStore, "run" | "pairs">;
  /** Lets others go on. */
  readonly pause: () => Promise<void>;
}

export interface Comparison extends Counts, Interval {
  readonly evaluatorVersion: number;
}

export interface Question {
  readonly baseline: string;
  readonly candidate: string;
  readonly evaluator: string;
  readonly seed: number;
  /** 0: the default. */
  readonly resamples: number;
}

const RESAMPLES = 2_000;
const LEVEL = 0.95;
/** About a millisecond. */
const DRAWS = 100_000;

/** The same for the same runs, seed and resamples. @throws WeirError not_found; invalid_request for runs that cannot be compared */
export async function compareRuns(question: Question, { store, pause }: CompareDependencies): Promise<Comparison> {
  const { baseline, candidate, evaluator } = question;
  const evaluatorVersion = await versionIn(baseline, evaluator, store);
  if (evaluatorVersion !== (await versionIn(candidate, evaluator, store))) {
    throw new WeirError("invalid_request", `The runs were judged by different versions of ${evaluator}.`);
  }
  const count = new PairCount();
  for (let after: string | undefined = ""; after !== undefined; ) {
    const pairs = await store.pairs(baseline, candidate, evaluator, after);
    for (const pair of pairs) count.add(pair.baseline, pair.candidate);
    after = pairs.at(-1)?.recordId;
  }
  const counts = count.counts();
  if (counts.pairs === 0)
    throw new WeirError("invalid_request", "The runs have no record in common that both could judge.");
  const random = new SeededRandom(question.seed);
  const bootstrap = new Bootstrap(count.scoreDifferences(), question.resamples || RESAMPLES, random);
  while (bootstrap.step(DRAWS)) await pause();
  return { ...counts, ...bootstrap.interval(LEVEL), evaluatorVersion };
}

async function versionIn(id: string, evaluator: string, store: Pick<RunStore, "run">): Promise<number> {
  const run = await store.run(id);
  if (run === undefined) throw new WeirError("not_found", `There is no run ${id}.`);
  if (run.resultsDigest === undefined) throw new WeirError("invalid_request", `Run ${id} is not finished.`);
  const found = run.evaluators.find(({ name }) => name === evaluator);
  if (found === undefined) throw new WeirError("invalid_request", `Run ${id} was not judged by ${evaluator}.`);
  return found.version;
}
