/** From what is wanted and what there is to the steps between them. Pure: what a step does is said, not done. */
import { ConfigError, type Problem, type Wanted, type WantedPlace, type WantedWorkspace } from "@weir/config";
import type { policy } from "@weir/contracts";
import { isEmpty, NO_RULES } from "@weir/rules";
import { PAYLOADS, payloadsWord, rulesChanged, rulesOfWire, wireRules } from "../wire-rules.ts";
import type { Actual, ActualWorkspace } from "./actual.ts";
import { budgetSteps, limitSteps } from "./plan-bounds.ts";
import { issuerSteps, webhookSteps } from "./plan-issuers.ts";
import { placeKey, type PlannedPlace } from "./planned-place.ts";
import { type Step, unchanged } from "./step.ts";

/**
 * @param prune whether what the file does not list at a place that it names is taken away
 * @throws ConfigError for what no step leads to
 */
export function planOf(wanted: Wanted, actual: Actual, prune: boolean): Step[] {
  checkReferences(wanted, actual);
  const steps = [
    ...wanted.organizations.flatMap((organization) => organizationSteps(organization, actual, prune)),
    ...wanted.workspaces.flatMap((workspace) => workspaceSteps(workspace, actual, prune)),
  ];
  // What is taken away comes last: until then nothing is less bounded than before.
  return [...steps.filter(({ verb }) => verb !== "delete"), ...steps.filter(({ verb }) => verb === "delete")];
}

function checkReferences(wanted: Wanted, { organizations, workspaces }: Actual): void {
  const problems: Problem[] = [];
  const nameOf = new Map(organizations.map(({ id, name }) => [id, name]));
  const known = new Set([...nameOf.values(), ...wanted.organizations.map(({ name }) => name)]);
  for (const { name, organization, projects, issuers } of wanted.workspaces) {
    const report = (path: string, message: string): void =>
      void problems.push({ path: `workspaces.${name}.${path}`, origin: undefined, message });
    const found = workspaces.get(name);
    const at = found === undefined ? undefined : nameOf.get(found.workspace.organizationId);
    if (!known.has(organization)) report("organization", `there is no organization "${organization}"`);
    else if (at !== undefined && at !== organization)
      report("organization", `it belongs to "${at}", and a workspace does not move`);
    const projectNames = new Set(["default", ...projects.map((project) => project.name)]);
    for (const project of found?.projects ?? []) projectNames.add(project.name);
    for (const issuer of issuers)
      if (!projectNames.has(issuer.project))
        report(`issuers.${issuer.name}.project`, `there is no project "${issuer.project}"`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

function organizationSteps(wanted: WantedPlace, actual: Actual, prune: boolean): Step[] {
  const found = actual.organizations.find(({ name }) => name === wanted.name);
  const create: Step[] =
    found === undefined
      ? [
          {
            verb: "create",
            what: `organization/${wanted.name}`,
            details: [],
            run: ({ admin, call }) => admin.createOrganization({ name: wanted.name }, call),
          },
        ]
      : [];
  const place: PlannedPlace = {
    label: `organization/${wanted.name}`,
    place: { place: { case: "organization", value: wanted.name } },
    key: found && `organization/${found.id}`,
    rules: found?.rules,
  };
  return [...create, ...boundSteps(place, wanted, actual, prune)];
}

function workspaceSteps(wanted: WantedWorkspace, actual: Actual, prune: boolean): Step[] {
  const { name } = wanted;
  const found = actual.workspaces.get(name);
  const id = found?.workspace.id;
  const place: PlannedPlace = {
    label: `workspace/${name}`,
    place: { place: { case: "workspace", value: name } },
    key: id && `workspace/${id}`,
    rules: found?.workspace.rules,
  };
  return [
    ...(found === undefined ? [createWorkspace(wanted)] : updateWorkspace(wanted, found)),
    ...boundSteps(place, wanted, actual, prune),
    ...wanted.projects.flatMap((project) => projectSteps(wanted, project, found, actual, prune)),
    ...attributeSteps(wanted, id, found, actual, prune),
    ...issuerSteps(wanted, found, prune),
    ...webhookSteps(wanted, found, prune),
  ];
}

function createWorkspace({ name, organization, payloads, timeZone }: WantedWorkspace): Step {
  const stated = { ...(payloads === undefined ? {} : { payloadChoice: PAYLOADS[payloads] }), timeZone: timeZone ?? "" };
  return {
    verb: "create",
    what: `workspace/${name}`,
    details: [`organization: ${organization}`],
    run: ({ admin, call }) => admin.createWorkspace({ name, organization, ...stated }, call),
  };
}

function updateWorkspace({ name, payloads, timeZone }: WantedWorkspace, { workspace }: ActualWorkspace): Step[] {
  const kept = payloadsWord(workspace.payloadChoice);
  const details = [
    ...(payloads === undefined || payloads === kept ? [] : [`payloads: ${kept} → ${payloads}`]),
    ...(timeZone === undefined || timeZone === workspace.timeZone
      ? []
      : [`time_zone: ${workspace.timeZone} → ${timeZone}`]),
  ];
  if (details.length === 0) return [unchanged(`workspace/${name}`)];
  const stated = { ...(payloads === undefined ? {} : { payloadChoice: PAYLOADS[payloads] }), timeZone: timeZone ?? "" };
  const run: Step["run"] = ({ admin, call }) => admin.updateWorkspace({ workspace: name, ...stated }, call);
  return [{ verb: "update", what: `workspace/${name}`, details, run }];
}

function projectSteps(
  { name: workspace }: WantedWorkspace,
  wanted: WantedPlace,
  found: ActualWorkspace | undefined,
  actual: Actual,
  prune: boolean,
): Step[] {
  const project = found?.projects.find(({ name }) => name === wanted.name);
  const label = `project/${workspace}/${wanted.name}`;
  // A new workspace comes with this one.
  const isThere = project !== undefined || wanted.name === "default";
  const create: Step = {
    verb: "create",
    what: label,
    details: [],
    run: ({ admin, call }) => admin.createProject({ workspace, name: wanted.name }, call),
  };
  const place: PlannedPlace = {
    label,
    place: { place: { case: "project", value: `${workspace}/${wanted.name}` } },
    key: project && `project/${project.id}`,
    rules: project?.rules,
  };
  return [...(isThere ? [] : [create]), ...boundSteps(place, wanted, actual, prune)];
}

function attributeSteps(
  { name: workspace, endUsers, tags }: WantedWorkspace,
  workspaceId: string | undefined,
  found: ActualWorkspace | undefined,
  actual: Actual,
  prune: boolean,
): Step[] {
  const rulesAt = new Map((found?.attributes ?? []).map(({ place, rules }) => [placeKey(place), rules]));
  const planned = [
    ...endUsers.map((wanted) => {
      const place = { place: { case: "endUser" as const, value: { workspace, name: wanted.name } } };
      return { wanted, place, own: `end-user/${workspaceId}/${wanted.name}`, label: `end-user/${wanted.name}` };
    }),
    ...tags.map((wanted) => {
      const { name, value } = wanted;
      const place = { place: { case: "tag" as const, value: { workspace, name, value } } };
      return { wanted, place, own: `tag/${workspaceId}/${name}=${value}`, label: `tag/${name}=${value}` };
    }),
  ].map(({ wanted, place, own, label }) => {
    const key = workspaceId === undefined ? undefined : own;
    return {
      wanted,
      at: { label: `${workspace}: ${label}`, place, key, rules: key && rulesAt.get(key) } as PlannedPlace,
    };
  });
  const steps = planned.flatMap(({ wanted, at }) => boundSteps(at, wanted, actual, prune));
  if (!prune || workspaceId === undefined) return steps;
  const listed = new Set(planned.map(({ at }) => at.key));
  return [...steps, ...forgottenAttributes(workspace, workspaceId, listed, rulesAt, actual)];
}

const NOTHING = { rules: undefined, budgets: undefined, limits: undefined };

/** End users and tags that a file does not list any more. */
function forgottenAttributes(
  workspace: string,
  workspaceId: string,
  listed: ReadonlySet<string | undefined>,
  rulesAt: ReadonlyMap<string, policy.Rules | undefined>,
  actual: Actual,
): Step[] {
  const places = new Map<string, policy.Place>();
  for (const { place } of [
    ...actual.budgets,
    ...actual.limits,
    ...(actual.workspaces.get(workspace)?.attributes ?? []),
  ]) {
    const key = placeKey(place);
    const isHere = key.startsWith(`end-user/${workspaceId}/`) || key.startsWith(`tag/${workspaceId}/`);
    if (place !== undefined && isHere && !listed.has(key)) places.set(key, place);
  }
  return [...places].flatMap(([key, place]) => {
    const label = `${workspace}: ${key.replace(`/${workspaceId}/`, "/")}`;
    const at: PlannedPlace = { label, place, key, rules: rulesAt.get(key) };
    return boundSteps(at, { name: label, ...NOTHING }, actual, true);
  });
}

function boundSteps(at: PlannedPlace, wanted: WantedPlace, actual: Actual, prune: boolean): Step[] {
  return [
    ...ruleSteps(at, wanted, prune),
    ...budgetSteps(at, wanted.budgets, actual.budgets, prune),
    ...limitSteps(at, wanted.limits, actual.limits, prune),
  ];
}

function ruleSteps({ label, place, rules }: PlannedPlace, { rules: wanted }: WantedPlace, prune: boolean): Step[] {
  const there = rulesOfWire(rules);
  if (wanted === undefined && (!prune || isEmpty(there))) return [];
  const target = wanted ?? NO_RULES;
  const details = rulesChanged(there, target);
  const what = `rules of ${label}`;
  if (details.length === 0) return isEmpty(target) ? [] : [unchanged(what)];
  const verb = wanted === undefined ? "delete" : isEmpty(there) ? "create" : "update";
  return [{ verb, what, details, run: ({ admin, call }) => admin.putRules({ place, rules: wireRules(target) }, call) }];
}
