import type { HandlerContext } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import { type Route, route } from "@weir/mesh";
import type { AdminDependencies } from "../flows/admin-places.ts";
import { adminService } from "./admin-service.ts";
import { authenticate, type Authentication } from "./authenticate.ts";
import { type PolicyDependencies, policyService } from "./policy-service.ts";

export interface RouteDependencies {
  readonly policy: PolicyDependencies;
  readonly admin: AdminDependencies;
  readonly authentication: Authentication;
}

export function policyRoutes({ policy: dependencies, admin, authentication }: RouteDependencies): Route[] {
  const callerOf = (context: HandlerContext) => authenticate(authentication, context.requestHeader);
  return [
    route(policy.PolicyService, policyService(dependencies)),
    route(policy.PolicyAdminService, adminService(admin, dependencies.clock, callerOf)),
  ];
}
