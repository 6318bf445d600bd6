import { type Agreement, kappaOf } from "./agreement.ts";
import type { RunResult } from "./run.ts";
import { Regression } from "./statistics/regression.ts";

export interface EvaluatorSummary {
  readonly evaluator: string;
  readonly version: number;
  readonly passed: number;
  readonly failed: number;
  readonly notEvaluable: number;
  readonly unjudged: number;
  readonly meanScore: number;
  /** Of judgments beside another answer: as if both had been equally long. */
  readonly lengthControlledScore: number | undefined;
  /** Undefined: nothing it judged has a label. */
  readonly agreement: (Agreement & { readonly kappa: number | undefined }) | undefined;
}

/** Counts the results of one evaluator in a run. */
class EvaluatorCount {
  private readonly verdicts = { pass: 0, fail: 0, "not-evaluable": 0, unjudged: 0 };
  private readonly agreement = { bothPass: 0, bothFail: 0, onlyEvaluator: 0, onlyLabel: 0 };
  private readonly byLength = new Regression();
  private scores = 0;

  add({ verdict, score, length, baselineLength, label }: RunResult): void {
    this.verdicts[verdict]++;
    if (verdict !== "pass" && verdict !== "fail") return;
    this.scores += score;
    if (length !== undefined && baselineLength !== undefined)
      this.byLength.add(Math.log((1 + length) / (1 + baselineLength)), score);
    if (label === undefined) return;
    if (verdict === label) this.agreement[label === "pass" ? "bothPass" : "bothFail"]++;
    else this.agreement[verdict === "pass" ? "onlyEvaluator" : "onlyLabel"]++;
  }

  summary(): Omit<EvaluatorSummary, "evaluator" | "version"> {
    const { pass: passed, fail: failed, "not-evaluable": notEvaluable, unjudged } = this.verdicts;
    const { agreement } = this;
    const labelled = agreement.bothPass + agreement.bothFail + agreement.onlyEvaluator + agreement.onlyLabel;
    return {
      passed,
      failed,
      notEvaluable,
      unjudged,
      meanScore: passed + failed === 0 ? 0 : this.scores / (passed + failed),
      lengthControlledScore: this.byLength.line()?.intercept,
      agreement: labelled === 0 ? undefined : { ...agreement, kappa: kappaOf(agreement) },
    };
  }
}

/** Counts the results of a run; what it keeps does not grow with them. */
export class RunCount {
  private readonly counts = new Map<string, { readonly version: number; readonly count: EvaluatorCount }>();

  add(result: RunResult): void {
    let counted = this.counts.get(result.evaluator);
    if (counted === undefined) {
      counted = { version: result.version, count: new EvaluatorCount() };
      this.counts.set(result.evaluator, counted);
    }
    counted.count.add(result);
  }

  summaries(): EvaluatorSummary[] {
    return [...this.counts].map(([evaluator, { version, count }]) => ({ evaluator, version, ...count.summary() }));
  }
}
