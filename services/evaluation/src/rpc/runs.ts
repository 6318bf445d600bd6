import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { AnswerSource } from "../domain/run.ts";
import type { EvaluatorSummary } from "../domain/summary.ts";
import type { Handling } from "./routes.ts";

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

export const runHandlers = ({
  runs,
  compare,
  requireAdmin,
}: Handling): Pick<
  Implementation,
  "createRun" | "continueRun" | "streamRunResults" | "compareRuns" | "summarizeRun" | "listRisks"
> => ({
  async createRun({ runId, dataset, evaluators, candidateModel, answersOf }, context) {
    requireAdmin(context.requestHeader);
    return { evaluators: await runs.create(runId, dataset, evaluators, answersFrom(candidateModel, answersOf)) };
  },
  async *continueRun({ runId }, context) {
    requireAdmin(context.requestHeader);
    for await (const { judged, records, resultsDigest } of runs.continue(runId, context.signal)) {
      yield { judged, records, resultsDigest: resultsDigest ?? "" };
    }
  },
  async *streamRunResults({ runId }, context) {
    requireAdmin(context.requestHeader);
    for await (const lines of runs.results(runId, context.signal)) yield { lines };
  },
  async compareRuns({ baseline, candidate, evaluator, seed, resamples }, context) {
    requireAdmin(context.requestHeader);
    const { lengthControlled: line, ...compared } = await compare({ baseline, candidate, evaluator, seed, resamples });
    if (line === undefined) return compared;
    const { intercept: lengthControlledDifference, low, high } = line;
    return { ...compared, lengthControlledDifference, lengthControlledLow: low, lengthControlledHigh: high };
  },
  async summarizeRun({ runId }, context) {
    requireAdmin(context.requestHeader);
    const found = await runs.summarize(runId);
    return {
      evaluators: found.map(({ lengthControlledScore, agreement, ...summary }) => ({
        ...summary,
        ...(lengthControlledScore === undefined ? {} : { lengthControlledScore }),
        ...(agreement === undefined ? {} : { agreement: agreementToWire(agreement) }),
      })),
    };
  },
  async listRisks({ runId, limit }, context) {
    requireAdmin(context.requestHeader);
    const found = await runs.risks(runId, limit || 20);
    return {
      risks: found.map(({ record, risk, evaluator, findings }) => ({
        record,
        risk,
        evaluator,
        findings: [...findings],
      })),
    };
  },
});

const agreementToWire = ({ kappa, ...counts }: NonNullable<EvaluatorSummary["agreement"]>) =>
  kappa === undefined ? counts : { ...counts, kappa };

/** @throws WeirError invalid_request */
function answersFrom(model: string, run: string): AnswerSource {
  if (model !== "" && run !== "")
    throw new WeirError("invalid_request", "A run has candidate_model or answers_of, not both.", {
      param: "answers_of",
    });
  if (model !== "") return { of: "model", model };
  if (run === "") return { of: "dataset" };
  if (!UUID.test(run)) throw new WeirError("invalid_request", "answers_of is no run's id.", { param: "answers_of" });
  return { of: "run", run };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
