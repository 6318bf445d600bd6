import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import type { Caller } from "../domain/authority.ts";
import * as keys from "../flows/admin-keys.ts";
import * as places from "../flows/admin-places.ts";
import { payloadsIfStated, rulesIfStated } from "./convert-rules.ts";
import * as convert from "./convert-terms.ts";

type AdminService = ServiceImpl<typeof policy.PolicyAdminService>;

/** @param callerOf who calls; @throws WeirError where nobody does who may */
export function adminService(
  admin: places.AdminDependencies,
  clock: Clock,
  callerOf: (context: HandlerContext) => Promise<Caller>,
): AdminService {
  return {
    ...organizationsAndWorkspaces(admin, callerOf),
    ...projectsAndKeys(admin, clock, callerOf),
    ...budgetsAndLimits(admin, callerOf),
  };
}

type CallerOf = (context: HandlerContext) => Promise<Caller>;
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
      });
      return { workspace: convert.workspaceToWire(row) };
    },
    async updateWorkspace(request, context) {
      const caller = await callerOf(context);
      const row = await places.updateWorkspace(admin, caller, {
        workspace: request.workspace,
        payloads: payloadsIfStated(request.payloadChoice),
        rules: rulesIfStated(request.rules),
      });
      return { workspace: convert.workspaceToWire(row) };
    },
    async listWorkspaces(request, context) {
      const rows = await places.listWorkspaces(admin, await callerOf(context), request.organization);
      return { workspaces: rows.map(convert.workspaceToWire) };
    },
  };
}

function projectsAndKeys(
  admin: places.AdminDependencies,
  clock: Clock,
  callerOf: CallerOf,
): Part<"createProject" | "listProjects" | "createKey" | "listKeys" | "revokeKey"> {
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
    async createKey(request, context) {
      const caller = await callerOf(context);
      const { key, secret } = await keys.createKey(admin, clock, caller, {
        workspace: request.workspace,
        project: request.project,
        name: request.name,
        expiresAtMs: request.expiresAtMs === 0n ? undefined : Number(request.expiresAtMs),
        scopes: request.scopes.map((scope) => convert.SCOPES.fromWire(scope, "scopes")),
        rules: rulesIfStated(request.rules),
      });
      return { key: convert.keyToWire(key), secret };
    },
    async listKeys(request, context) {
      const caller = await callerOf(context);
      const rows = await keys.listKeys(admin, caller, request.workspace, request.includeRevoked);
      return { keys: rows.map(convert.keyToWire) };
    },
    async revokeKey(request, context) {
      const row = await keys.revokeKey(admin, await callerOf(context), request.keyId);
      return { key: convert.keyToWire(row) };
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
      });
      return { budget: convert.budgetToWire(row) };
    },
    async listBudgets(request, context) {
      const rows = await places.listBudgets(admin, await callerOf(context), request.workspace);
      return { budgets: rows.map(convert.budgetToWire) };
    },
    async putLimit(request, context) {
      const caller = await callerOf(context);
      const row = await places.putLimit(admin, caller, convert.askedPlace(request.place), {
        per: convert.LIMIT_SUBJECTS.fromWire(request.per, "per"),
        unit: convert.LIMIT_UNITS.fromWire(request.unit, "unit"),
        amount: Number(request.amount),
        windowMs: Number(request.windowMs),
        burst: request.burst === undefined ? undefined : Number(request.burst),
        failClosed: request.failClosed,
      });
      return { limit: convert.limitToWire(row) };
    },
    async listLimits(request, context) {
      const rows = await places.listLimits(admin, await callerOf(context), request.workspace);
      return { limits: rows.map(convert.limitToWire) };
    },
  };
}
