import { policy } from "@weir/contracts";
import { choice, type Command, required } from "../command.ts";
import { enumName, table } from "../output.ts";
import { RULE_OPTIONS, RULE_USAGE, rulesOf } from "../rules.ts";

const PAYLOADS = {
  none: policy.PayloadChoice.NONE,
  hashes: policy.PayloadChoice.HASHES,
  redacted: policy.PayloadChoice.REDACTED,
  full: policy.PayloadChoice.FULL,
};
const payloadsOf = (text: string | undefined): policy.PayloadChoice =>
  text === undefined ? policy.PayloadChoice.UNSPECIFIED : choice("--payloads", text, PAYLOADS);

const models = (rules: policy.Rules | undefined): string => rules?.allowedModels.join(",") || "all";
const workspaceTable = (workspaces: readonly policy.Workspace[]): string =>
  table(
    ["ID", "NAME", "PAYLOADS", "MODELS"],
    workspaces.map(({ id, name, payloadChoice, rules }) => [
      id,
      name,
      enumName(policy.PayloadChoiceSchema, payloadChoice),
      models(rules),
    ]),
  );
const projectTable = (projects: readonly policy.Project[]): string =>
  table(
    ["ID", "NAME", "WORKSPACE", "MODELS"],
    projects.map(({ id, name, workspaceId, rules }) => [id, name, workspaceId, models(rules)]),
  );

export const workspaceCommands: readonly Command[] = [
  {
    name: "workspaces create",
    usage: `<name> [--organization O] [--payloads none|hashes|full] [--time-zone Europe/Berlin] ${RULE_USAGE}`,
    summary: "make a workspace: a team, the unit of isolation",
    words: { least: 1, most: 1 },
    options: {
      organization: { type: "string" },
      payloads: { type: "string" },
      "time-zone": { type: "string" },
      ...RULE_OPTIONS,
    },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const made = await client(policy.PolicyAdminService).createWorkspace(
        {
          name: args[0] ?? "",
          organization: flags.text("organization") ?? "",
          payloadChoice: payloadsOf(flags.text("payloads")),
          timeZone: flags.text("time-zone") ?? "",
          ...rulesOf(flags),
        },
        call,
      );
      output.message(policy.CreateWorkspaceResponseSchema, made, ({ workspace }) =>
        workspaceTable(workspace === undefined ? [] : [workspace]),
      );
    },
  },
  {
    name: "workspaces update",
    usage: `<name or id> [--payloads …] [--time-zone …] ${RULE_USAGE}`,
    summary: "change what is given; rules are replaced whole",
    words: { least: 1, most: 1 },
    options: { payloads: { type: "string" }, "time-zone": { type: "string" }, ...RULE_OPTIONS },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const changed = await client(policy.PolicyAdminService).updateWorkspace(
        {
          workspace: args[0] ?? "",
          payloadChoice: payloadsOf(flags.text("payloads")),
          timeZone: flags.text("time-zone") ?? "",
          ...rulesOf(flags),
        },
        call,
      );
      output.message(policy.UpdateWorkspaceResponseSchema, changed, ({ workspace }) =>
        workspaceTable(workspace === undefined ? [] : [workspace]),
      );
    },
  },
  {
    name: "workspaces list",
    usage: "[--organization O]",
    summary: "workspaces",
    options: { organization: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const organization = flags.text("organization") ?? "";
      const found = await client(policy.PolicyAdminService).listWorkspaces({ organization }, call);
      output.message(policy.ListWorkspacesResponseSchema, found, ({ workspaces }) => workspaceTable(workspaces));
    },
  },
  {
    name: "projects create",
    usage: `<name> --workspace W ${RULE_USAGE}`,
    summary: "make a project in a workspace",
    words: { least: 1, most: 1 },
    options: { workspace: { type: "string" }, ...RULE_OPTIONS },
    async run({ connection, output, flags, args }) {
      const { client, call } = connection();
      const made = await client(policy.PolicyAdminService).createProject(
        { name: args[0] ?? "", workspace: required(flags, "workspace"), ...rulesOf(flags) },
        call,
      );
      output.message(policy.CreateProjectResponseSchema, made, ({ project }) =>
        projectTable(project === undefined ? [] : [project]),
      );
    },
  },
  {
    name: "projects list",
    usage: "--workspace W",
    summary: "projects of a workspace",
    options: { workspace: { type: "string" } },
    async run({ connection, output, flags }) {
      const { client, call } = connection();
      const workspace = required(flags, "workspace");
      const found = await client(policy.PolicyAdminService).listProjects({ workspace }, call);
      output.message(policy.ListProjectsResponseSchema, found, ({ projects }) => projectTable(projects));
    },
  },
];
