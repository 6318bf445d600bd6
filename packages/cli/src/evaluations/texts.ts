import type { evaluation } from "@weir/contracts";
import { table } from "../output.ts";

export const comparisonText = (of: evaluation.CompareRunsResponse): string =>
  [
    `${of.pairs} pairs (${of.unpaired} records are left out: not in both, or not judged in both)`,
    `passed: ${of.baselinePassed} before, ${of.candidatePassed} now; lost ${of.lost}, gained ${of.gained}`,
    `McNemar, exact and two-sided: p = ${of.pValue.toPrecision(3)}`,
    `mean score: ${signed(of.meanDifference)} (95 %: ${signed(of.low)} to ${signed(of.high)}, bootstrap)`,
    ...(of.lengthControlledDifference === undefined
      ? []
      : [
          `at equal lengths: ${signed(of.lengthControlledDifference)} (95 %: ${signed(of.lengthControlledLow)} to ${signed(of.lengthControlledHigh)})`,
        ]),
  ].join("\n");

const signed = (value: number): string => `${value < 0 ? "" : "+"}${value.toFixed(4)}`;

export const summaryText = ({ evaluators }: evaluation.SummarizeRunResponse): string =>
  table(
    [
      "EVALUATOR",
      "PASSED",
      "FAILED",
      "NOT EVALUABLE",
      "UNJUDGED",
      "MEAN SCORE",
      "AT EQUAL LENGTHS",
      "AGREEMENT WITH LABELS",
    ],
    evaluators.map((of) => [
      `${of.evaluator}@${of.version}`,
      of.passed,
      of.failed,
      of.notEvaluable,
      of.unjudged,
      of.meanScore.toFixed(3),
      of.lengthControlledScore?.toFixed(3) ?? "–",
      agreementText(of.agreement),
    ]),
  );

function agreementText(of: evaluation.Agreement | undefined): string {
  if (of === undefined) return "–";
  const agreed = of.bothPass + of.bothFail;
  const all = agreed + of.onlyEvaluator + of.onlyLabel;
  return `${agreed} of ${all}${of.kappa === undefined ? "" : `, kappa ${of.kappa.toFixed(3)}`}`;
}
