import type { MessageInitShape } from "@bufbuild/protobuf";
import { evaluation } from "@weir/contracts";
import type { Result } from "../domain/result.ts";
import type { Verdict } from "../domain/subject.ts";

const VERDICTS: Readonly<Record<Verdict, evaluation.Verdict>> = {
  pass: evaluation.Verdict.PASS,
  fail: evaluation.Verdict.FAIL,
  "not-evaluable": evaluation.Verdict.NOT_EVALUABLE,
  unjudged: evaluation.Verdict.UNJUDGED,
};

export const resultToWire = (result: Result): MessageInitShape<typeof evaluation.EvaluationResultSchema> => ({
  requestId: result.requestId,
  workspaceId: result.workspaceId,
  evaluator: result.evaluator,
  evaluatorVersion: result.version,
  verdict: VERDICTS[result.verdict],
  score: result.score,
  findings: [...result.findings],
  atMs: BigInt(result.atMs),
});
