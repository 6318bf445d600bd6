import { policy } from "@weir/contracts";
import { type Route, route } from "@weir/mesh";
import type { IssuerDependencies } from "../flows/admin-issuers.ts";
import type { AdminDependencies } from "../flows/admin-places.ts";
import type { BooksDependencies } from "../flows/books.ts";
import type { ExplainDependencies } from "../flows/explain.ts";
import type { ExchangeDependencies } from "../flows/short-lived-keys.ts";
import type { WebhookDependencies } from "../flows/webhooks.ts";
import { adminService } from "./admin-service.ts";
import { type Authentication, callerOf } from "./authenticate.ts";
import { budgetService } from "./budget-service.ts";
import type { IdempotencyStore } from "../ports.ts";
import { idempotencyService } from "./idempotency-service.ts";
import { type PolicyDependencies, policyService } from "./policy-service.ts";
import { tokenService } from "./token-service.ts";

export interface RouteDependencies {
  readonly policy: PolicyDependencies;
  readonly admin: AdminDependencies;
  readonly keys: IssuerDependencies & ExchangeDependencies;
  readonly explaining: ExplainDependencies;
  readonly books: BooksDependencies;
  readonly warnings: WebhookDependencies;
  readonly idempotency: IdempotencyStore;
  readonly authentication: Authentication;
}

export function policyRoutes({
  policy: dependencies,
  admin,
  keys,
  explaining,
  books,
  warnings,
  idempotency,
  authentication,
}: RouteDependencies): Route[] {
  return [
    route(policy.PolicyService, policyService(dependencies)),
    route(policy.PolicyAdminService, adminService(admin, keys, explaining, callerOf(authentication))),
    route(policy.BudgetService, budgetService(books, warnings, callerOf(authentication))),
    route(policy.IdempotencyService, idempotencyService(idempotency)),
    route(policy.TokenService, tokenService(keys, authentication)),
  ];
}
