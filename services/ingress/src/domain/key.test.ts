import { describe, expect, test } from "vitest";
import { authenticate, freshness } from "./key.ts";
import { testKey as key } from "./test-key.ts";

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
