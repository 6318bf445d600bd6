import { isTimeZone, WeirError } from "@weir/kernel";
import { type Attribute, tagProblem } from "@weir/rules";
import {
  type Caller,
  onlyWorkspace,
  requireMayBound,
  requireOperator,
  requireVisible,
  seesOrganization,
} from "../domain/authority.ts";
import type { PayloadChoice, PlaceKind } from "../domain/key-policy.ts";
import { type AskedLimit, checkedLimit } from "../domain/limit-terms.ts";
import { NO_RULES, ruleProblem, type Rules } from "../domain/rules.ts";
import type {
  BudgetRow,
  BudgetTerms,
  DirectoryAdmin,
  Keysmith,
  LimitRow,
  OrganizationRow,
  Place,
  ProjectRow,
  WorkspaceRow,
} from "../ports.ts";

export interface AdminDependencies {
  readonly directory: DirectoryAdmin;
  readonly keysmith: Keysmith;
  /** What was just written is in force here when this resolves; elsewhere within a second. */
  readonly refresh: () => Promise<void>;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export async function createOrganization(
  { directory, keysmith }: AdminDependencies,
  caller: Caller,
  name: string,
): Promise<OrganizationRow> {
  requireOperator(caller);
  const row = { id: keysmith.newId(), name: checkedName(name) };
  await directory.createOrganization(row);
  return { ...row, rules: NO_RULES };
}

export async function listOrganizations({ directory }: AdminDependencies, caller: Caller): Promise<OrganizationRow[]> {
  const all = await directory.organizations();
  return caller.kind === "operator" ? all : all.filter(({ id }) => id === caller.key.organizationId);
}

/** What of a workspace may be set; undefined: as it is, or the default. */
export interface AskedWorkspace {
  readonly payloads: PayloadChoice | undefined;
  readonly rules: Rules | undefined;
  readonly timeZone: string | undefined;
}

function checkedTimeZone(name: string): string {
  if (isTimeZone(name)) return name;
  const message = "A time zone is one of IANA's, like Europe/Berlin.";
  throw new WeirError("invalid_request", message, { param: "time_zone" });
}

export async function createWorkspace(
  { directory, keysmith }: AdminDependencies,
  caller: Caller,
  asked: AskedWorkspace & { readonly organization: string; readonly name: string },
): Promise<WorkspaceRow> {
  const name = checkedName(asked.name);
  const rules = checkedRules(asked.rules ?? NO_RULES);
  const own = caller.kind === "key" ? caller.key.organizationId : "default";
  const organization = await directory.find("organization", asked.organization || own);
  requireVisible(caller, organization, asked.organization);
  const row = {
    id: keysmith.newId(),
    organizationId: organization.id,
    name,
    payloads: asked.payloads ?? "hashes",
    rules,
    timeZone: checkedTimeZone(asked.timeZone ?? "UTC"),
  };
  await directory.createWorkspace(row, keysmith.newId());
  return row;
}

export async function updateWorkspace(
  { directory, refresh }: AdminDependencies,
  caller: Caller,
  asked: AskedWorkspace & { readonly workspace: string },
): Promise<WorkspaceRow> {
  const place = await directory.find("workspace", asked.workspace);
  requireMayBound(caller, place, asked.workspace);
  const row = await directory.updateWorkspace(place.id, {
    ...(asked.payloads === undefined ? {} : { payloads: asked.payloads }),
    ...(asked.rules === undefined ? {} : { rules: checkedRules(asked.rules) }),
    ...(asked.timeZone === undefined ? {} : { timeZone: checkedTimeZone(asked.timeZone) }),
  });
  await refresh();
  return row;
}

export async function listWorkspaces(
  { directory }: AdminDependencies,
  caller: Caller,
  organization: string,
): Promise<WorkspaceRow[]> {
  // A key is shown its own, whatever it asks: it is not told which organizations there are.
  if (caller.kind === "key") {
    const { organizationId, workspaceId } = caller.key;
    const all = await directory.workspaces(organizationId);
    return seesOrganization(caller) ? all : all.filter(({ id }) => id === workspaceId);
  }
  const place = organization === "" ? undefined : await directory.find("organization", organization);
  return directory.workspaces(place?.id);
}

export async function createProject(
  { directory, keysmith }: AdminDependencies,
  caller: Caller,
  asked: { workspace: string; name: string; rules: Rules | undefined },
): Promise<ProjectRow> {
  const workspace = await directory.find("workspace", asked.workspace);
  requireVisible(caller, workspace, asked.workspace);
  const rules = checkedRules(asked.rules ?? NO_RULES);
  const row = { id: keysmith.newId(), workspaceId: workspace.id, name: checkedName(asked.name), rules };
  await directory.createProject(row);
  return row;
}

export async function listProjects(
  { directory }: AdminDependencies,
  caller: Caller,
  workspace: string,
): Promise<ProjectRow[]> {
  const place = await directory.find("workspace", workspace);
  requireVisible(caller, place, workspace);
  return directory.projects(place.id);
}

/** Where rules, a budget or a limit are asked to stand: a kind and a name or an id, or an end user or a tag of a workspace. */
export type AskedPlace =
  | { readonly kind: PlaceKind; readonly name: string }
  | (Attribute & { /** A name or an id. */ readonly workspace: string });

/** The place that is asked for, if the caller may set this there. An end user or a tag is made by being asked for. */
export async function boundable(
  { directory, keysmith }: Pick<AdminDependencies, "directory" | "keysmith">,
  caller: Caller,
  asked: AskedPlace,
  what: "budget" | "limit" | "rules",
): Promise<Place> {
  if ("workspace" in asked) {
    const workspace = await directory.find("workspace", asked.workspace || "default");
    requireVisible(caller, workspace, asked.workspace);
    requireMayBound(caller, { ...workspace, kind: asked.kind, id: "" }, asked.name, what);
    return directory.attribute(workspace, checkedAttribute(asked), keysmith.newId());
  }
  // Before it is looked for: a key is not told which organizations there are.
  if (asked.kind === "organization") requireOperator(caller);
  // Who sees one workspace means a project of that one by a bare name.
  const place = await directory.find(
    asked.kind,
    asked.name,
    seesOrganization(caller) ? undefined : onlyWorkspace(caller),
  );
  requireMayBound(caller, place, asked.name, what);
  return place;
}

export async function putBudget(
  dependencies: AdminDependencies,
  caller: Caller,
  asked: AskedPlace,
  terms: BudgetTerms,
): Promise<BudgetRow> {
  if (terms.limit < 0n) throw new WeirError("invalid_request", "A budget's limit is 0 or more.", { param: "limit" });
  if (terms.maxIdenticalCalls !== undefined && terms.per !== "run") {
    const message = "Identical calls are counted within a run: this goes with a budget per run.";
    throw new WeirError("invalid_request", message, { param: "max_identical_calls" });
  }
  const { directory, refresh } = dependencies;
  const row = await directory.putBudget(await boundable(dependencies, caller, asked, "budget"), terms);
  await refresh();
  return row;
}

export async function putLimit(
  dependencies: AdminDependencies,
  caller: Caller,
  asked: AskedPlace,
  terms: AskedLimit,
): Promise<LimitRow> {
  const checked = checkedLimit(asked.kind, terms);
  const { directory, refresh } = dependencies;
  const row = await directory.putLimit(await boundable(dependencies, caller, asked, "limit"), checked);
  await refresh();
  return row;
}

/** Of a workspace, whose organization's are on its paths, too. */
export async function listBudgets(
  { directory }: AdminDependencies,
  caller: Caller,
  workspace: string,
): Promise<BudgetRow[]> {
  return directory.budgets(await listedWorkspace(directory, caller, workspace));
}

export async function listLimits(
  { directory }: AdminDependencies,
  caller: Caller,
  workspace: string,
): Promise<LimitRow[]> {
  return directory.limits(await listedWorkspace(directory, caller, workspace));
}

/** The workspace that a list is limited to; "" means all that the caller may see. */
export async function listedWorkspace(
  directory: DirectoryAdmin,
  caller: Caller,
  workspace: string,
): Promise<string | undefined> {
  if (workspace === "") return onlyWorkspace(caller);
  const place = await directory.find("workspace", workspace);
  requireVisible(caller, place, workspace);
  return place.id;
}

export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  const message = "A name is up to 63 of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit.";
  throw new WeirError("invalid_request", message, { param: "name" });
}

/** @throws WeirError invalid_request */
export function checkedRules(rules: Rules): Rules {
  const problem = ruleProblem(rules);
  if (problem !== undefined)
    throw new WeirError("invalid_request", problem.message, { param: `rules.${problem.param}` });
  return rules;
}

const MOST_NAME = 256;

function checkedAttribute({ kind, name, value }: Attribute): Attribute {
  const problem =
    kind === "tag"
      ? tagProblem(name, value)
      : name.length < 1 || name.length > MOST_NAME
        ? `An end user's name has 1 to ${MOST_NAME} characters.`
        : undefined;
  if (problem !== undefined) throw new WeirError("invalid_request", problem, { param: "place" });
  return { kind, name, value };
}
