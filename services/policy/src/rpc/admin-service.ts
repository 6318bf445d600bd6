import type { ServiceImpl } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import type { IssuerDependencies } from "../flows/admin-issuers.ts";
import * as places from "../flows/admin-places.ts";
import type { ExplainDependencies } from "../flows/explain.ts";
import { payloadsIfStated, rulesIfStated } from "./convert-rules.ts";
import type { CallerOf } from "./authenticate.ts";
import { boundMethods } from "./bound-methods.ts";
import * as convert from "./convert-terms.ts";
import { explainMethod } from "./explain-method.ts";
import { issuerMethods } from "./issuer-methods.ts";
import { keyMethods } from "./key-methods.ts";

type AdminService = ServiceImpl<typeof policy.PolicyAdminService>;

/** @param callerOf who calls; @throws WeirError where nobody does who may */
export function adminService(
  admin: places.AdminDependencies,
  keys: IssuerDependencies,
  explaining: ExplainDependencies,
  callerOf: CallerOf,
): AdminService {
  return {
    ...organizationsAndWorkspaces(admin, callerOf),
    ...projects(admin, callerOf),
    ...keyMethods(keys, callerOf),
    ...issuerMethods(keys, callerOf),
    ...budgetsAndLimits(admin, callerOf),
    ...boundMethods(keys, callerOf),
    ...explainMethod(explaining, callerOf),
  };
}

type Part<Names extends keyof AdminService> = Pick<AdminService, Names>;

function organizationsAndWorkspaces(
  admin: places.AdminDependencies,
  callerOf: CallerOf,
): Part<"createOrganization" | "listOrganizations" | "createWorkspace" | "updateWorkspace" | "listWorkspaces"> {
  return {
    async createOrganization(request, context) {
      const row = await places.createOrganization(admin, await callerOf(context), request.name);
      return { organization: convert.organizationToWire(row) };
    },
    async listOrganizations(_request, context) {
      const rows = await places.listOrganizations(admin, await callerOf(context));
      return { organizations: rows.map(convert.organizationToWire) };
    },
    async createWorkspace(request, context) {
      const caller = await callerOf(context);
      const row = await places.createWorkspace(admin, caller, {
        organization: request.organization,
        name: request.name,
        payloads: payloadsIfStated(request.payloadChoice),
        rules: rulesIfStated(request.rules),
        timeZone: request.timeZone || undefined,
      });
      return { workspace: convert.workspaceToWire(row) };
    },
    async updateWorkspace(request, context) {
      const caller = await callerOf(context);
      const row = await places.updateWorkspace(admin, caller, {
        workspace: request.workspace,
        payloads: payloadsIfStated(request.payloadChoice),
        rules: rulesIfStated(request.rules),
        timeZone: request.timeZone || undefined,
      });
      return { workspace: convert.workspaceToWire(row) };
    },
    async listWorkspaces(request, context) {
      const rows = await places.listWorkspaces(admin, await callerOf(context), request.organization);
      return { workspaces: rows.map(convert.workspaceToWire) };
    },
  };
}

function projects(admin: places.AdminDependencies, callerOf: CallerOf): Part<"createProject" | "listProjects"> {
  return {
    async createProject(request, context) {
      const caller = await callerOf(context);
      const rules = rulesIfStated(request.rules);
      const row = await places.createProject(admin, caller, {
        workspace: request.workspace,
        name: request.name,
        rules,
      });
      return { project: convert.projectToWire(row) };
    },
    async listProjects(request, context) {
      const rows = await places.listProjects(admin, await callerOf(context), request.workspace);
      return { projects: rows.map(convert.projectToWire) };
    },
  };
}

function budgetsAndLimits(
  admin: places.AdminDependencies,
  callerOf: CallerOf,
): Part<"putBudget" | "listBudgets" | "putLimit" | "listLimits"> {
  return {
    async putBudget(request, context) {
      const caller = await callerOf(context);
      const row = await places.putBudget(admin, caller, convert.askedPlace(request.place), {
        unit: convert.BUDGET_UNITS.fromWire(request.unit, "unit"),
        period: convert.BUDGET_PERIODS.fromWire(request.period, "period"),
        limit: request.limit,
        hard: request.hard,
        per: convert.budgetSubject(request.per),
        maxIdenticalCalls: request.maxIdenticalCalls === 0 ? undefined : request.maxIdenticalCalls,
      });
      return { budget: convert.budgetToWire(row) };
    },
    async listBudgets(request, context) {
      const rows = await places.listBudgets(admin, await callerOf(context), request.workspace);
      return { budgets: rows.map(convert.budgetToWire) };
    },
    async putLimit(request, context) {
      const caller = await callerOf(context);
      const row = await places.putLimit(admin, caller, convert.askedPlace(request.place), convert.askedLimit(request));
      return { limit: convert.limitToWire(row) };
    },
    async listLimits(request, context) {
      const rows = await places.listLimits(admin, await callerOf(context), request.workspace);
      return { limits: rows.map(convert.limitToWire) };
    },
  };
}
