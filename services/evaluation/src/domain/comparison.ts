import type { RunResult } from "./run.ts";
import { mcnemar } from "./statistics/mcnemar.ts";
import { type Line, Regression } from "./statistics/regression.ts";

type Judged = Pick<RunResult, "verdict" | "score" | "length">;

export interface Counts {
  readonly pairs: number;
  readonly unpaired: number;
  readonly baselinePassed: number;
  readonly candidatePassed: number;
  readonly lost: number;
  readonly gained: number;
  readonly pValue: number;
  readonly meanDifference: number;
  /**
   * The mean difference as if the answers of both runs were equally long: where its regression on the logarithm of their lengths' ratio crosses zero
   * (after Y. Dubois et al., 2024, length-controlled win rates). Undefined: lengths are not known, or all differ by the same ratio.
   */
  readonly lengthControlled: Line | undefined;
}

/** Counts pairs of verdicts on the same record. Eight bytes are kept of each pair. */
export class PairCount {
  private differences = new Float64Array(1_024);
  private pairs = 0;
  private unpaired = 0;
  private readonly passed = { baseline: 0, candidate: 0 };
  private lost = 0;
  private gained = 0;
  private readonly byLength = new Regression();

  /** Undefined: that run does not have the record. */
  add(baseline: Judged | undefined, candidate: Judged | undefined): void {
    if (!isJudged(baseline) || !isJudged(candidate)) {
      this.unpaired++;
      return;
    }
    const before = baseline.verdict === "pass";
    const now = candidate.verdict === "pass";
    if (before) this.passed.baseline++;
    if (now) this.passed.candidate++;
    if (before && !now) this.lost++;
    if (!before && now) this.gained++;
    if (this.pairs === this.differences.length) {
      const larger = new Float64Array(2 * this.pairs);
      larger.set(this.differences);
      this.differences = larger;
    }
    const difference = candidate.score - baseline.score;
    this.differences[this.pairs++] = difference;
    if (candidate.length !== undefined && baseline.length !== undefined)
      this.byLength.add(Math.log((1 + candidate.length) / (1 + baseline.length)), difference);
  }

  /** Candidate less baseline, in the order they were added. */
  scoreDifferences(): Float64Array {
    return this.differences.subarray(0, this.pairs);
  }

  counts(): Counts {
    const { pairs, unpaired, lost, gained } = this;
    const sum = this.scoreDifferences().reduce((total, difference) => total + difference, 0);
    return {
      pairs,
      unpaired,
      baselinePassed: this.passed.baseline,
      candidatePassed: this.passed.candidate,
      lost,
      gained,
      pValue: mcnemar(lost, gained),
      meanDifference: pairs === 0 ? 0 : sum / pairs,
      lengthControlled: this.byLength.line(),
    };
  }
}

const isJudged = (judged: Judged | undefined): judged is Judged =>
  judged !== undefined && (judged.verdict === "pass" || judged.verdict === "fail");
