import { describe, expect, it } from "vitest";
import { availability, failed, type Health, healthy, probing, spendRetry, succeeded, unprobed } from "./health.ts";

const T = 1_000_000;
const after = (times: number, from: Health = healthy, atMs = T): Health =>
  Array.from({ length: times }).reduce<Health>((health) => failed(health, "provider_error", undefined, atMs), from);

describe("a breaker", () => {
  it("opens after five failures in a row, for five seconds", () => {
    expect(availability(after(4), T)).toBe("ready");
    expect(availability(after(5), T)).toEqual({ waitMs: 5_000, reason: "provider_error" });
    expect(availability(after(5), T + 5_000)).toBe("probe");
  });

  it("counts in a row only", () => {
    expect(availability(after(4, succeeded(after(4))), T)).toBe("ready");
  });

  it("lets one request probe", () => {
    const probed = probing(after(5));
    expect(availability(probed, T + 5_000)).toMatchObject({ reason: "provider_error" });
    expect(availability(unprobed(probed), T + 5_000)).toBe("probe");
    expect(availability(succeeded(probed), T + 5_000)).toBe("ready");
  });

  it("stays open twice as long after each failed probe, up to a minute", () => {
    let health = after(5);
    let nowMs = T;
    const waits: number[] = [];
    for (let probes = 0; probes < 6; probes += 1) {
      nowMs = health.openUntilMs;
      health = failed(probing(health), "provider_timeout", undefined, nowMs);
      waits.push(health.openUntilMs - nowMs);
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });

  it("does not hold a request's own fault against its target", () => {
    const health = Array.from({ length: 9 }).reduce<Health>(
      (h) => failed(h, "provider_rejected", undefined, T),
      healthy,
    );
    expect(availability(health, T)).toBe("ready");
  });
});

describe("a provider that asks for a pause", () => {
  it("gets it at once", () => {
    const health = failed(healthy, "provider_rate_limited", 7_000, T);
    expect(availability(health, T + 6_999)).toEqual({ waitMs: 1, reason: "provider_rate_limited" });
    expect(availability(health, T + 7_000)).toBe("ready");
  });

  it("is not left alone for more than a minute", () => {
    expect(failed(healthy, "provider_overloaded", 3_600_000, T).coolingUntilMs).toBe(T + 60_000);
  });

  it("gets a short one where it does not say how long", () => {
    expect(failed(healthy, "provider_rate_limited", undefined, T).coolingUntilMs).toBe(T + 1_000);
    expect(failed(healthy, "provider_overloaded", undefined, T).coolingUntilMs).toBe(T + 2_000);
  });
});

describe("the retry budget", () => {
  it("allows ten attempts more, and one for five successes", () => {
    let health: Health | undefined = healthy;
    let retries = 0;
    for (;;) {
      const next: Health | undefined = spendRetry(health, false);
      if (next === undefined) break;
      health = next;
      retries += 1;
    }
    expect(retries).toBe(10);
    for (let success = 0; success < 5; success += 1) health = succeeded(health);
    expect(spendRetry(health, false)).toBeDefined();
    expect(spendRetry(spendRetry(health, false) ?? healthy, false)).toBeUndefined();
  });

  it("does not charge for what follows a probe", () => {
    const spent = { ...healthy, retryTokens: 0 };
    expect(spendRetry(spent, true)).toBe(spent);
  });

  it("makes nothing new for a target that is well", () => {
    expect(succeeded(healthy)).toBe(healthy);
  });
});
