import { describe, expect, test } from "vitest";
import {
  authenticate,
  authorize,
  freshness,
  GRACE_MS,
  grantOf,
  intersection,
  type Key,
  modelAllowed,
  type Rules,
  strictestCap,
} from "./key.ts";

const rules = (some: Partial<Rules>): Rules => ({
  allowedModels: [],
  deniedModels: [],
  allowedProviders: [],
  allowedRegions: [],
  maxInputTokens: 0,
  maxOutputTokens: 0,
  ...some,
});

const key = (some: Partial<Key> = {}): Key => ({
  id: "k",
  organizationId: "o",
  workspaceId: "w",
  workspace: "default",
  projectId: "p",
  name: "test",
  expiresAtMs: 0,
  scopes: ["inference"],
  rules: [],
  hasHardBudget: false,
  hasBudget: false,
  hasLimit: false,
  payloads: "hashes",
  ...some,
});

const reasonOf = (run: () => unknown): unknown => {
  try {
    run();
    return "let in";
  } catch (error) {
    return (error as { reason?: unknown }).reason;
  }
};

describe("freshness", () => {
  test.each([
    [undefined, 0, "never"],
    [1_000, 2_000, "live"],
    [1_000, 2_001, "stale"],
    [1_000, 1_000 + GRACE_MS, "stale"],
    [1_000, 1_001 + GRACE_MS, "expired"],
  ] as const)("last beat %s, now %s: %s", (beat, now, expected) => {
    expect(freshness(beat, now)).toBe(expected);
  });
});

describe("authenticate never says 401 for what it cannot know", () => {
  test.each([
    ["a known key", key(), "live", "let in"],
    ["a known key, policy away", key(), "stale", "let in"],
    ["a known key with a hard budget, policy away", key({ hasHardBudget: true }), "stale", "policy_unavailable"],
    ["a known key after the grace time", key(), "expired", "policy_unavailable"],
    ["an unknown key", undefined, "live", "invalid_key"],
    ["an unknown key, policy away", undefined, "stale", "policy_unavailable"],
    ["an unknown key before policy was heard of", undefined, "never", "policy_unavailable"],
    ["an expired key", key({ expiresAtMs: 99 }), "live", "expired_key"],
    ["a key on its last millisecond", key({ expiresAtMs: 101 }), "live", "let in"],
  ] as const)("%s: %s", (_what, known, fresh, expected) => {
    expect(reasonOf(() => authenticate(known, fresh, 100))).toBe(expected);
  });
});

test("every level's model rules must agree", () => {
  const organization = rules({ allowedModels: ["gpt-*", "claude-opus"] });
  const workspace = rules({ deniedModels: ["gpt-4*"] });
  const allowed = (model: string) => modelAllowed([organization, workspace], model);
  expect(["gpt-3", "gpt-4", "gpt-4o", "claude-opus", "claude-opus-2", "other"].filter(allowed)).toEqual([
    "gpt-3",
    "claude-opus",
  ]);
});

test("levels that share no provider leave nothing, which is not the same as everything", () => {
  expect(intersection([[], []])).toBeUndefined();
  expect(intersection([["a", "b"], [], ["b", "c"]])).toEqual(["b"]);
  expect(intersection([["a"], ["b"]])).toEqual([]);
  const grant = grantOf(key({ rules: [rules({ allowedProviders: ["a"] }), rules({ allowedProviders: ["b"] })] }));
  expect(reasonOf(() => authorize(grant, "m"))).toBe("permission_denied");
});

test("a key without the scope, or without the model, is refused", () => {
  expect(reasonOf(() => authorize(grantOf(key({ scopes: ["admin"] })), "m"))).toBe("permission_denied");
  expect(reasonOf(() => authorize(grantOf(key({ rules: [rules({ allowedModels: ["x"] })] })), "m"))).toBe(
    "model_not_allowed",
  );
  expect(reasonOf(() => authorize(grantOf(key()), "m"))).toBe("let in");
});

test("the smallest cap that is set counts", () => {
  expect(strictestCap([])).toBe(0);
  expect(strictestCap([0, 5, 3, 0])).toBe(3);
});

test("a key with rules about models may not let a provider choose one", () => {
  const ruled = grantOf(key({ rules: [rules({ deniedModels: ["dear"] })] }));
  expect(reasonOf(() => authorize(ruled, "cheap", true))).toBe("unsupported");
  expect(reasonOf(() => authorize(grantOf(key()), "cheap", true))).toBe("let in");
});
