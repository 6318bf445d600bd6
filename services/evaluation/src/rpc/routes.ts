import { evaluation } from "@weir/contracts";
import type { Secret } from "@weir/kernel";
import { type Route, route } from "@weir/mesh";
import type { ResultBrowser } from "../flows/browse.ts";
import type { Comparison, Question } from "../flows/compare.ts";
import type { LetterDesk } from "../flows/dead-letters.ts";
import type { Sampling } from "../domain/sampling.ts";
import type { DriftQuestion, FoundDrift } from "../flows/drift.ts";
import type { SnapshotQuestion } from "../flows/snapshot.ts";
import type { Runs } from "../flows/runs.ts";
import { adminGuard } from "./admin.ts";
import { datasetHandlers } from "./datasets.ts";
import { deadLetterHandlers } from "./dead-letters.ts";
import { listEvaluators } from "./list-evaluators.ts";
import { listResults } from "./list-results.ts";
import { putEvaluator } from "./put-evaluator.ts";
import { onlineHandlers } from "./online.ts";
import { runHandlers } from "./runs.ts";

/** What the handlers share. */
export interface Handling {
  readonly results: ResultBrowser;
  readonly runs: Runs;
  readonly letters: LetterDesk;
  readonly compare: (question: Question) => Promise<Comparison>;
  readonly snapshot: (
    question: SnapshotQuestion,
    signal: AbortSignal,
  ) => AsyncIterable<{ readonly records: number; readonly dataset: string }>;
  readonly sampling: {
    readonly list: () => Promise<Sampling[]>;
    /** @returns with the versions that will judge. @throws WeirError not_found, invalid_request */
    readonly put: (sampling: Sampling) => Promise<Sampling>;
  };
  readonly drift: (question: DriftQuestion) => Promise<FoundDrift[]>;
  readonly nowMs: () => number;
  /** @throws WeirError missing_key, invalid_key, permission_denied */
  readonly requireAdmin: (headers: Headers) => void;
}

export function evaluationRoutes(work: Omit<Handling, "requireAdmin">, adminToken: Secret | undefined): Route[] {
  const handling: Handling = { ...work, requireAdmin: adminGuard(adminToken) };
  return [
    route(evaluation.EvaluationService, {
      listEvaluators: listEvaluators(handling),
      listResults: listResults(handling),
      putEvaluator: putEvaluator(handling),
      ...datasetHandlers(handling),
      ...runHandlers(handling),
      ...onlineHandlers(handling),
      ...deadLetterHandlers(handling),
    }),
  ];
}
