import { describe, expect, test } from "vitest";
import { type Caller, grantable, requireMayBound, requireOperator, requireVisible } from "./authority.ts";
import type { KeyPolicy } from "./key-policy.ts";
import { NO_RULES } from "./rules.ts";

const key: KeyPolicy = {
  keyId: "key",
  hash: new Uint8Array(32),
  organizationId: "organization",
  workspaceId: "own",
  workspace: "own",
  projectId: "project",
  name: "admin",
  expiresAtMs: 1000,
  scopes: ["inference", "admin"],
  operator: false,
  payloads: "hashes",
  rules: { ...NO_RULES, allowedModels: ["fast", "gpt-*"], maxOutputTokens: 100 },
  budgets: [],
  limits: [],
};
const admin: Caller = { kind: "key", key };
const workspaceOperator: Caller = { kind: "key", key: { ...key, operator: true, expiresAtMs: undefined } };
const operator: Caller = { kind: "operator" };
const asked = { scopes: ["inference"], rules: NO_RULES, expiresAtMs: 500 } as const;

describe("a key with the admin scope", () => {
  test("sees nothing outside its workspace", () => {
    expect(() => requireVisible(admin, { kind: "workspace", id: "x", workspaceId: "other" }, "other")).toThrow(
      /no workspace "other"/,
    );
    expect(() =>
      requireVisible(admin, { kind: "workspace", id: "x", workspaceId: undefined }, "organization"),
    ).toThrow();
    requireVisible(admin, { kind: "workspace", id: "x", workspaceId: "own" }, "own");
    expect(() => requireOperator(admin)).toThrow(/admin token/);
  });

  test("bounds others in its workspace, not itself", () => {
    requireMayBound(admin, { kind: "project", id: "other project", workspaceId: "own" }, "");
    requireMayBound(admin, { kind: "key", id: "other key", workspaceId: "own" }, "");
    for (const id of ["own", "project", "key"]) {
      expect(() => requireMayBound(admin, { kind: "workspace", id, workspaceId: "own" }, "")).toThrow(/bounds itself/);
    }
    expect(() => requireMayBound(admin, { kind: "organization", id: "o", workspaceId: undefined }, "")).toThrow(
      /admin token/,
    );
    expect(() => requireMayBound(admin, { kind: "key", id: "k", workspaceId: "other" }, "k")).toThrow(/There is no/);
  });

  test("gives no more than it has", () => {
    expect(() => grantable(admin, { ...asked, scopes: ["read"] })).toThrow(/scope "read"/);
    expect(() => grantable(admin, { ...asked, expiresAtMs: 1001 })).toThrow(/outlives/);
    expect(() => grantable(admin, { ...asked, expiresAtMs: undefined })).toThrow(/outlives/);
    const rules = { ...NO_RULES, allowedModels: ["*"], maxOutputTokens: 5000 };
    expect(grantable(admin, { ...asked, rules }).rules).toMatchObject({
      allowedModels: ["fast", "gpt-*"],
      maxOutputTokens: 100,
    });
  });
});

test("the operator's own key has full rights in its workspace, and none elsewhere", () => {
  requireMayBound(workspaceOperator, { kind: "workspace", id: "own", workspaceId: "own" }, "");
  expect(() =>
    requireMayBound(workspaceOperator, { kind: "workspace", id: "other", workspaceId: "other" }, "other"),
  ).toThrow();
  expect(grantable(workspaceOperator, { ...asked, scopes: ["read"] }).scopes).toEqual(["read"]);
});

test("the operator may do everything", () => {
  requireOperator(operator);
  requireMayBound(operator, { kind: "organization", id: "o", workspaceId: undefined }, "");
  expect(grantable(operator, { ...asked, scopes: ["read"], expiresAtMs: undefined }).scopes).toEqual(["read"]);
});
