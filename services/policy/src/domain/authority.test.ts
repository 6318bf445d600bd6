import { describe, expect, test } from "vitest";
import {
  type Caller,
  grantable,
  requireMayBound,
  requireMayHold,
  requireMayManage,
  requireOperator,
  requireRight,
  requireVisible,
  RIGHTS,
} from "./authority.ts";
import type { BudgetOnPath, KeyPolicy, Scope } from "./key-policy.ts";
import { NO_RULES } from "./rules.ts";

const key: KeyPolicy = {
  keyId: "key",
  hash: new Uint8Array(32),
  retired: [],
  ancestors: [],
  guards: ["maker", "maker's project"],
  organizationId: "organization",
  workspaceId: "own",
  workspace: "own",
  projectId: "project",
  name: "admin",
  expiresAtMs: 1000,
  scopes: ["inference", "admin"],
  endUser: "",
  keyRules: { ...NO_RULES, maxOutputTokens: 200 },
  operator: false,
  payloads: "hashes",
  rules: { ...NO_RULES, allowedModels: ["fast", "gpt-*"], maxOutputTokens: 100 },
  budgets: [],
  limits: [],
  hadBudget: false,
  levels: [],
};
const withScopes = (...scopes: Scope[]): Caller => ({ kind: "key", key: { ...key, scopes } });
const admin: Caller = { kind: "key", key };
const owner: Caller = { kind: "key", key: { ...key, scopes: ["inference"], operator: true, expiresAtMs: undefined } };
const organizationAdmin = withScopes("inference", "organization-admin");
const operator: Caller = { kind: "operator" };
const asked = { scopes: ["inference"], rules: NO_RULES, expiresAtMs: 500 } as const;
const at = { projectId: "project" };
type Kind = "organization" | "workspace" | "project" | "key";
const place = (kind: Kind, id: string, workspaceId: string | undefined = "own", organizationId = "organization") => ({
  kind,
  id,
  workspaceId,
  organizationId,
});
const budget = (on: "project" | "key"): BudgetOnPath => ({
  id: 1,
  place: on,
  placeName: "x",
  unit: "nano-usd",
  period: "month",
  hard: true,
});

describe("which role may call what", () => {
  const CALLERS = {
    operator,
    inference: withScopes("inference"),
    viewer: withScopes("read"),
    billing: withScopes("billing"),
    admin: withScopes("admin"),
    owner,
    organization: withScopes("organization-admin"),
  };
  const LISTS = /^(List|Get|Explain)/;
  const may = (who: keyof typeof CALLERS, rpc: string): boolean => {
    try {
      requireRight(CALLERS[who], rpc);
      return true;
    } catch {
      return false;
    }
  };

  test.each(Object.keys(RIGHTS))("%s", (rpc) => {
    const who = Object.keys(CALLERS).filter((name) => may(name as keyof typeof CALLERS, rpc));
    const expected = LISTS.test(rpc)
      ? ["operator", "viewer", "billing", "admin", "owner", "organization"]
      : rpc === "CreateOrganization"
        ? ["operator"]
        : rpc === "CreateWorkspace"
          ? ["operator", "organization"]
          : rpc === "UpdateWorkspace"
            ? ["operator", "owner", "organization"]
            : rpc.endsWith("Budget")
              ? ["operator", "billing", "admin", "owner", "organization"]
              : ["operator", "admin", "owner", "organization"];
    expect(who).toEqual(expected);
  });

  test("what nobody wrote down is the operator's", () => {
    expect(may("operator", "NewMethod")).toBe(true);
    expect(may("organization", "NewMethod")).toBe(false);
  });
});

describe("where", () => {
  test("a key sees nothing outside its workspace, an organization's admin nothing outside that", () => {
    for (const caller of [admin, owner, organizationAdmin]) {
      requireVisible(caller, place("workspace", "own"), "own");
      expect(() => requireVisible(caller, place("workspace", "x", "x", "elsewhere"), "x")).toThrow(/no workspace "x"/);
      expect(() => requireOperator(caller)).toThrow(/admin token/);
      expect(() => requireMayBound(caller, place("organization", "organization", undefined), "", "budget")).toThrow(
        /admin token/,
      );
    }
    expect(() => requireVisible(admin, place("workspace", "other", "other"), "other")).toThrow(/no workspace "other"/);
    expect(() => requireVisible(owner, place("workspace", "other", "other"), "other")).toThrow();
    requireVisible(organizationAdmin, place("project", "p", "other"), "p");
  });

  test("an admin bounds others in its workspace: not itself, nor who made it", () => {
    requireMayBound(admin, place("project", "other project"), "", "budget");
    requireMayBound(admin, place("key", "other key"), "", "limit");
    for (const id of ["own", "project", "key", "maker", "maker's project"]) {
      for (const what of ["budget", "limit", "rules"] as const)
        expect(() => requireMayBound(admin, place("key", id), "", what)).toThrow(/bounds itself/);
    }
    expect(() => requireMayBound(admin, place("key", "k", "other"), "k", "limit")).toThrow(/There is no/);
  });

  test("billing sets budgets of its workspace, its own path's too, and nothing else", () => {
    const billing = withScopes("billing");
    for (const id of ["own", "project", "key", "other"]) requireMayBound(billing, place("workspace", id), "", "budget");
    for (const what of ["limit", "rules"] as const)
      expect(() => requireMayBound(billing, place("project", "other"), "", what)).toThrow(/no scope/);
    expect(() => requireMayBound(billing, place("workspace", "x", "x"), "x", "budget")).toThrow(/There is no/);
  });

  test("an owner bounds its workspace, an organization's admin all workspaces", () => {
    requireMayBound(owner, place("workspace", "own"), "", "limit");
    expect(() => requireMayBound(owner, place("workspace", "other", "other"), "other", "limit")).toThrow();
    requireMayBound(organizationAdmin, place("workspace", "other", "other"), "other", "rules");
    requireMayBound(operator, place("organization", "o", undefined), "", "budget");
  });
});

describe("what a new key gets", () => {
  test("no scope, time or rule that its maker has not", () => {
    expect(() => grantable(admin, { ...asked, scopes: ["billing"] }, at)).toThrow(/scope "billing"/);
    expect(() => grantable(admin, { ...asked, scopes: ["organization-admin"] }, at)).toThrow(/organization-admin/);
    expect(() => grantable(withScopes("admin"), asked, at)).toThrow(/scope "inference"/);
    expect(() => grantable(owner, { ...asked, scopes: ["organization-admin"] }, at)).toThrow(/organization-admin/);
    expect(grantable(admin, { ...asked, scopes: ["read"] }, at).scopes).toEqual(["read"]);
    expect(() => grantable(admin, { ...asked, expiresAtMs: 1001 }, at)).toThrow(/outlives/);
    expect(() => grantable(admin, { ...asked, expiresAtMs: undefined }, at)).toThrow(/outlives/);
    const rules = { ...NO_RULES, allowedModels: ["*"], maxOutputTokens: 5000 };
    expect(grantable(admin, { ...asked, rules }, at).rules).toMatchObject({
      allowedModels: ["fast", "gpt-*"],
      maxOutputTokens: 100,
    });
  });

  test("an owner's and an organization admin's own path does not bound what they make elsewhere", () => {
    expect(grantable(owner, { ...asked, scopes: ["admin", "billing"], expiresAtMs: undefined }, at)).toMatchObject({
      scopes: ["admin", "billing"],
      rules: { allowedModels: [] },
      guards: [],
    });
    // But what was set for that key itself does.
    expect(grantable(organizationAdmin, asked, { projectId: "elsewhere" }).rules).toMatchObject({
      allowedModels: [],
      maxOutputTokens: 200,
    });
  });

  test("a key is no way around a budget or limit of its maker's path", () => {
    const bounded = (on: "project" | "key"): Caller => ({ kind: "key", key: { ...key, budgets: [budget(on)] } });
    grantable(bounded("project"), asked, at);
    expect(() => grantable(bounded("project"), asked, { projectId: "elsewhere" })).toThrow(/get around/);
    expect(() => grantable(bounded("key"), asked, at)).toThrow(/mint/);
    grantable(bounded("key"), { ...asked, scopes: ["read"] }, at);
  });

  test("an admin key that was made by another may not touch what bounds that one", () => {
    const { guards } = grantable(admin, { ...asked, scopes: ["admin"] }, { projectId: "elsewhere" });
    expect(guards).toEqual(["project", "key", "maker", "maker's project"]);
    expect(grantable(admin, asked, at).guards).toEqual([]);
    const made: Caller = { kind: "key", key: { ...key, keyId: "made", projectId: "elsewhere", guards } };
    expect(() => requireMayBound(made, place("key", "key"), "", "budget")).toThrow(/bounds itself/);
  });
});

describe("what may be done to a key", () => {
  const target = (scopes: Scope[], isOperator = false) => ({
    id: "target",
    projectId: "project",
    scopes,
    operator: isOperator,
  });

  test("nobody ends, changes or takes over who stands above", () => {
    const above: [Caller, ReturnType<typeof target>][] = [
      [admin, target(["inference"], true)],
      [admin, target(["organization-admin"])],
      [owner, target(["organization-admin"])],
    ];
    for (const [caller, over] of above) {
      for (const what of ["revoke", "rotate", "update"] as const)
        expect(() => requireMayManage(caller, over, what)).toThrow(/stands above/);
    }
    requireMayManage(admin, target(["admin"]), "revoke");
    requireMayManage(owner, target(["inference"], true), "rotate");
    requireMayManage(organizationAdmin, target(["inference"], true), "revoke");
  });

  test("a key may end and rotate itself, not change itself", () => {
    const itself = { ...target(["admin"]), id: "key" };
    requireMayManage(admin, itself, "revoke");
    requireMayManage(admin, itself, "rotate");
    expect(() => requireMayManage(admin, itself, "update")).toThrow(/cannot change itself/);
  });

  test("who rotates a key takes over its rights, and so needs them", () => {
    const narrow = { ...NO_RULES, allowedModels: ["fast"], maxOutputTokens: 50 };
    const terms = { scopes: ["inference"] as const, rules: narrow, expiresAtMs: 500 };
    requireMayHold(admin, target(["inference"]), terms);
    expect(() => requireMayHold(admin, target(["inference"]), { ...terms, rules: NO_RULES })).toThrow(
      /more than yours/,
    );
    expect(() => requireMayHold(admin, target(["billing"]), { ...terms, scopes: ["billing"] })).toThrow(/billing/);
    expect(() => requireMayHold(admin, target(["inference"]), { ...terms, expiresAtMs: undefined })).toThrow();
    requireMayHold(owner, target(["inference"]), { ...terms, rules: NO_RULES });
  });
});
