import { describe, expect, test } from "vitest";
import {
  authenticate,
  authorize,
  freshness,
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
  const grace = { policyMs: 60_000, storeMs: 3_600_000 };
  test.each([
    [undefined, 0, "never"],
    [1_000, 2_000, "live"],
    [1_000, 2_001, "stale"],
    [1_000, 61_000, "stale"],
    [1_000, 61_001, "expired"],
  ] as const)("last beat %s, now %s: %s", (beat, now, expected) => {
    const heard = beat === undefined ? undefined : { policyMs: beat, storeMs: beat };
    expect(freshness(heard, now, grace)).toBe(expected);
  });

  test.each([
    ["a moment ago", 500, 0, "live"],
    ["longer, and policy says so", 5_000, 0, "stale"],
    ["for longer than policy may be silent, and policy says so", 600_000, 0, "stale"],
    ["for as long as that may be", 3_600_000, 0, "stale"],
    ["for longer", 3_600_001, 0, "expired"],
    ["and policy has fallen silent, too", 600_000, 60_000, "stale"],
    ["and policy is silent for too long", 600_000, 60_001, "expired"],
  ] as const)("the store was last heard of %s", (_what, storeAgeMs, silentMs, expected) => {
    const nowMs = 10_000_000;
    expect(freshness({ policyMs: nowMs - silentMs, storeMs: nowMs - storeAgeMs }, nowMs, grace)).toBe(expected);
  });

  test("a grace for policy's silence that is longer than the other one holds for both", () => {
    const short = { policyMs: 60_000, storeMs: 5_000 };
    expect(freshness({ policyMs: 0, storeMs: 0 }, 60_000, short)).toBe("stale");
    expect(freshness({ policyMs: 60_000, storeMs: 0 }, 60_000, short)).toBe("stale");
    expect(freshness({ policyMs: 60_000, storeMs: 0 }, 60_001, short)).toBe("expired");
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
