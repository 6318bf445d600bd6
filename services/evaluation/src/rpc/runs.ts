import type { ServiceImpl } from "@connectrpc/connect";
import type { evaluation } from "@weir/contracts";
import type { Handling } from "./routes.ts";

type Implementation = ServiceImpl<typeof evaluation.EvaluationService>;

export const runHandlers = ({
  runs,
  compare,
  requireAdmin,
}: Handling): Pick<Implementation, "createRun" | "continueRun" | "streamRunResults" | "compareRuns"> => ({
  async createRun({ runId, dataset, evaluators }, context) {
    requireAdmin(context.requestHeader);
    return { evaluators: await runs.create(runId, dataset, evaluators) };
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
    return await compare({ baseline, candidate, evaluator, seed, resamples });
  },
});
