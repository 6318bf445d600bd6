import { evaluation } from "@weir/contracts";
import { type Command, required, UsageError } from "../command.ts";
import type { Connection } from "../connection.ts";
import { type Condition, failuresOf, type Measures, parseCondition } from "../evaluations/gate.ts";
import { follow, startRun } from "../evaluations/run.ts";
import { comparisonText, summaryText } from "../evaluations/texts.ts";
import type { Output } from "../output.ts";

const GATE_OPTIONS = {
  baseline: { type: "string" },
  "fail-if": { type: "string", multiple: true },
} as const;

export const replayCommands: readonly Command[] = [
  {
    name: "eval replay",
    usage: "--dataset DATASET --model MODEL --evaluator NAME[@VERSION]… [--baseline RUN] [--fail-if CONDITION]…",
    summary: "let a model answer a dataset anew, judge it, and end with 1 where a condition holds",
    options: {
      ...GATE_OPTIONS,
      dataset: { type: "string" },
      model: { type: "string" },
      evaluator: { type: "string", multiple: true },
    },
    async run({ connection, output, flags }) {
      const conditions = flags.list("fail-if").map(parseCondition);
      const asked = { dataset: required(flags, "dataset"), candidateModel: required(flags, "model") };
      const runId = await startRun(connection(), output, asked, flags);
      await follow(connection(), runId, output);
      await gate(connection(), output, runId, flags.text("baseline"), conditions);
    },
  },
  {
    name: "eval gate",
    usage: "<run> [--baseline RUN] --fail-if CONDITION…",
    summary: "end with 1 where a condition holds of a finished run, e.g. 'p_value < 0.05 and mean_difference < 0'",
    words: { least: 1, most: 1 },
    options: GATE_OPTIONS,
    async run({ connection, output, flags, args: [runId = ""] }) {
      const conditions = flags.list("fail-if").map(parseCondition);
      if (conditions.length === 0) throw new UsageError("--fail-if is missing");
      await gate(connection(), output, runId, flags.text("baseline"), conditions);
    },
  },
];

/** @throws Error where a condition holds */
async function gate(
  { client, call }: Connection,
  output: Output,
  runId: string,
  baseline: string | undefined,
  conditions: readonly Condition[],
): Promise<void> {
  const service = client(evaluation.EvaluationService);
  const summary = await service.summarizeRun({ runId }, call);
  output.message(evaluation.SummarizeRunResponseSchema, summary, summaryText);
  const measures = new Map(summary.evaluators.map((of) => [of.evaluator, summaryMeasures(of)]));
  for (const { evaluator } of summary.evaluators) {
    if (baseline === undefined) break;
    const compared = await service.compareRuns({ baseline, candidate: runId, evaluator }, call);
    output.note(`\n${evaluator} against run ${baseline}`);
    output.message(evaluation.CompareRunsResponseSchema, compared, comparisonText);
    measures.set(evaluator, { ...measures.get(evaluator), ...comparisonMeasures(compared) });
  }
  const failures = conditions.flatMap((condition) => failuresOf(condition, measures));
  if (failures.length > 0) throw new Error(`the gate is shut: ${failures.join("; ")}`);
  if (conditions.length > 0) output.note("the gate is open");
}

type Measured = Measures extends ReadonlyMap<string, infer M> ? M : never;

function summaryMeasures(of: evaluation.EvaluatorSummary): Measured {
  const judged = of.passed + of.failed;
  return {
    passed: of.passed,
    failed: of.failed,
    not_evaluable: of.notEvaluable,
    unjudged: of.unjudged,
    pass_rate: judged === 0 ? undefined : of.passed / judged,
    mean_score: judged === 0 ? undefined : of.meanScore,
    length_controlled_score: of.lengthControlledScore,
    kappa: of.agreement?.kappa,
  };
}

const comparisonMeasures = (of: evaluation.CompareRunsResponse): Measured => ({
  pairs: of.pairs,
  unpaired: of.unpaired,
  lost: of.lost,
  gained: of.gained,
  p_value: of.pValue,
  mean_difference: of.meanDifference,
  low: of.low,
  high: of.high,
  length_controlled_difference: of.lengthControlledDifference,
  length_controlled_low: of.lengthControlledDifference === undefined ? undefined : of.lengthControlledLow,
  length_controlled_high: of.lengthControlledDifference === undefined ? undefined : of.lengthControlledHigh,
});
