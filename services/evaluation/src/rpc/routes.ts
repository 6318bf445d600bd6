import { evaluation } from "@weir/contracts";
import type { Secret } from "@weir/kernel";
import { type Route, route } from "@weir/mesh";
import type { ResultBrowser } from "../flows/browse.ts";
import { adminGuard } from "./admin.ts";
import { listEvaluators } from "./list-evaluators.ts";
import { listResults } from "./list-results.ts";

/** What the handlers share. */
export interface Handling {
  readonly results: ResultBrowser;
  /** @throws WeirError missing_key, invalid_key, permission_denied */
  readonly requireAdmin: (headers: Headers) => void;
}

export function evaluationRoutes(results: ResultBrowser, adminToken: Secret | undefined): Route[] {
  const handling: Handling = { results, requireAdmin: adminGuard(adminToken) };
  return [
    route(evaluation.EvaluationService, {
      listEvaluators: listEvaluators(handling),
      listResults: listResults(handling),
    }),
  ];
}
