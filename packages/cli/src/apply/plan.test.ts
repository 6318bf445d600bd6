import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { checkApplyFile } from "@weir/config";
import { policy } from "@weir/contracts";
import { expect, test } from "vitest";
import type { Actual } from "./actual.ts";
import { planOf } from "./plan.ts";

const FILE = `
organizations:
  acme: { rules: { denied_regions: [cn*] } }
workspaces:
  search:
    organization: acme
    payloads: none
    budgets: [{ period: day, limit_usd: 2 }, { period: total, limit_requests: 5, per: run }]
    limits: [{ per: key, requests: 10, window: 60s }]
    projects: { bot: { rules: { deny_tools: true } } }
    tags: { team=bots: { budgets: [{ period: day, limit_tokens: 9 }] } }
`;
const wanted = checkApplyFile(FILE, "f");
const NOTHING: Actual = { organizations: [], workspaces: new Map(), budgets: [], limits: [] };

const budget = (some: MessageInitShape<typeof policy.BudgetSchema>) => create(policy.BudgetSchema, some);
const inWorkspace = { place: { case: "workspace" as const, value: "w1" } };
const onTag = { place: { case: "tag" as const, value: { workspace: "w1", name: "team", value: "bots" } } };

/** What the file leads to, as the lists of the admin API show it. */
function applied(): Actual {
  const workspace = create(policy.WorkspaceSchema, {
    id: "w1",
    organizationId: "o1",
    name: "search",
    payloadChoice: policy.PayloadChoice.NONE,
    timeZone: "UTC",
  });
  const projects = [
    create(policy.ProjectSchema, { id: "p0", workspaceId: "w1", name: "default" }),
    create(policy.ProjectSchema, { id: "p1", workspaceId: "w1", name: "bot", rules: { denyTools: true } }),
  ];
  return {
    organizations: [create(policy.OrganizationSchema, { id: "o1", name: "acme", rules: { deniedRegions: ["cn*"] } })],
    workspaces: new Map([["search", { workspace, projects, attributes: [], issuers: [], webhook: undefined }]]),
    budgets: [
      budget({
        id: "1",
        place: inWorkspace,
        unit: policy.BudgetUnit.NANO_USD,
        period: policy.BudgetPeriod.DAY,
        limit: 2_000_000_000n,
        hard: true,
      }),
      budget({
        id: "2",
        place: inWorkspace,
        unit: policy.BudgetUnit.REQUESTS,
        period: policy.BudgetPeriod.TOTAL,
        per: policy.BudgetSubject.RUN,
        limit: 5n,
        hard: true,
      }),
      budget({
        id: "3",
        place: onTag,
        unit: policy.BudgetUnit.TOKENS,
        period: policy.BudgetPeriod.DAY,
        limit: 9n,
        hard: true,
      }),
    ],
    limits: [
      create(policy.LimitSchema, {
        id: "1",
        place: inWorkspace,
        per: policy.LimitSubject.KEY,
        unit: policy.LimitUnit.REQUESTS,
        amount: 10n,
        windowMs: 60_000n,
        burst: 1n,
      }),
    ],
  };
}
const told = (actual: Actual, prune = false): string[] =>
  planOf(wanted, actual, prune)
    .filter(({ verb }) => verb !== "keep")
    .map(({ verb, what, details }) => `${verb} ${what}${details.length === 0 ? "" : `: ${details.join("; ")}`}`);

test("from nothing everything is made, what stands above first", () => {
  expect(told(NOTHING)).toEqual([
    "create organization/acme",
    "create rules of organization/acme: denied_regions: none → cn*",
    "create workspace/search: organization: acme",
    "create budget day usd of workspace/search: $2; hard",
    "create budget total requests per run of workspace/search: 5; hard",
    "create limit requests per key in 60 s of workspace/search: 10",
    "create project/search/bot",
    "create rules of project/search/bot: deny_tools: none → true",
    "create budget day tokens of search: tag/team=bots: 9; hard",
  ]);
});

test("where everything is there nothing is changed, with and without pruning", () => {
  expect(told(applied())).toEqual([]);
  expect(told(applied(), true)).toEqual([]);
});

test("what differs is changed, each by itself", () => {
  const actual = applied();
  const [first] = actual.budgets;
  if (first !== undefined) first.limit = 1n;
  const [organization] = actual.organizations;
  if (organization !== undefined) organization.rules = create(policy.RulesSchema, { allowedModels: ["a"] });
  expect(told(actual)).toEqual([
    "update rules of organization/acme: allowed_models: a → none; denied_regions: none → cn*",
    "update budget day usd of workspace/search: limit: $0.000000001 → $2",
  ]);
});

test("what a file does not list is left, or taken away last where it is asked for", () => {
  const actual = applied();
  const more = budget({ id: "9", place: onTag, unit: policy.BudgetUnit.REQUESTS, period: policy.BudgetPeriod.DAY });
  const other = { place: { case: "endUser" as const, value: { workspace: "w1", name: "ann" } } };
  const elsewhere = { place: { case: "endUser" as const, value: { workspace: "w2", name: "ann" } } };
  const search = actual.workspaces.get("search");
  if (search === undefined) throw new Error("no workspace");
  const changed: Actual = {
    ...actual,
    budgets: [
      ...actual.budgets,
      more,
      budget({ id: "10", place: elsewhere, unit: policy.BudgetUnit.REQUESTS, period: policy.BudgetPeriod.DAY }),
    ],
    workspaces: new Map([
      [
        "search",
        { ...search, attributes: [create(policy.AttributeSchema, { place: other, rules: { denyStreaming: true } })] },
      ],
    ]),
  };
  expect(told(changed)).toEqual([]);
  expect(told(changed, true)).toEqual([
    "delete budget day requests of search: tag/team=bots",
    "delete rules of search: end-user/ann: deny_streaming: true → none",
  ]);
});

test("what no step leads to is a problem of the file", () => {
  const actual = applied();
  const moved = checkApplyFile(
    "workspaces: { search: { organization: other, issuers: { ci: { project: nope, url: u, audiences: [a] } } } }",
    "f",
  );
  expect(() => planOf(moved, actual, false)).toThrow(/no organization "other"[\s\S]*no project "nope"/);
  const stays = checkApplyFile("organizations: { other: {} }\nworkspaces: { search: { organization: other } }", "f");
  expect(() => planOf(stays, actual, false)).toThrow('belongs to "acme"');
});
