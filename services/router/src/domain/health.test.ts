import { describe, expect, it } from "vitest";
import {
  availability,
  failed,
  type Health,
  healthy,
  heard,
  newsOf,
  probing,
  returningShare,
  spendRetry,
  succeeded,
  tooSlow,
  unprobed,
} from "./health.ts";

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
    expect(availability(after(4, succeeded(after(4), T)), T)).toBe("ready");
  });

  it("lets one request probe", () => {
    const probed = probing(after(5));
    expect(availability(probed, T + 5_000)).toMatchObject({ reason: "provider_error" });
    expect(availability(unprobed(probed), T + 5_000)).toBe("probe");
    expect(availability(succeeded(probed, T), T + 5_000)).toBe("ready");
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
    for (let success = 0; success < 5; success += 1) health = succeeded(health, T);
    expect(spendRetry(health, false)).toBeDefined();
    expect(spendRetry(spendRetry(health, false) ?? healthy, false)).toBeUndefined();
  });

  it("does not charge for what follows a probe", () => {
    const spent = { ...healthy, retryTokens: 0 };
    expect(spendRetry(spent, true)).toBe(spent);
  });

  it("makes nothing new for a target that is well", () => {
    expect(succeeded(healthy, T)).toBe(healthy);
  });
});

describe("a target that comes back", () => {
  const back = succeeded(probing(after(5)), T);

  it("gets a tenth of its requests at first, and all after half a minute", () => {
    expect(returningShare(back, T)).toBeCloseTo(0.1);
    expect(returningShare(back, T + 15_000)).toBeCloseTo(0.55);
    expect(returningShare(back, T + 30_000)).toBe(1);
    expect(returningShare(succeeded(back, T + 30_000), T + 30_000)).toBe(1);
    expect(returningShare(healthy, T)).toBe(1);
  });

  it("begins anew when it fails again", () => {
    expect(returningShare(after(5, back), T + 1)).toBe(1);
    expect(availability(after(5, back), T + 1)).toMatchObject({ reason: "provider_error" });
  });
});

it("too many bad calls lately, or too slow ones, open a breaker as five in a row do", () => {
  expect(availability(failed(healthy, "provider_error", undefined, T, true), T)).toMatchObject({ waitMs: 5_000 });
  expect(availability(tooSlow(healthy, T), T)).toEqual({ waitMs: 5_000, reason: "provider_timeout" });
});

describe("what replicas tell each other", () => {
  it("opens a breaker on both, by durations, as clocks differ", () => {
    const own = after(5);
    const other = heard(healthy, newsOf(own, T + 1_000), 9_000_000);
    expect(availability(other, 9_000_000)).toEqual({ waitMs: 4_000, reason: "provider_error" });
    expect(availability(other, 9_004_000)).toBe("probe");
  });

  it("closes it on both: what came back comes back slowly everywhere", () => {
    const closed = succeeded(probing(after(5)), T);
    const other = heard(after(5), newsOf(closed, T), T);
    expect(availability(other, T)).toBe("ready");
    expect(returningShare(other, T)).toBeCloseTo(0.1);
    expect(heard(healthy, newsOf(closed, T), T)).toBe(healthy);
  });

  it("never shortens what one knows oneself, and keeps its retry budget", () => {
    const poor = { ...after(6), retryTokens: 2 };
    const told = heard(poor, { openMs: 1, opens: 0, coolingMs: 0, reason: "provider_error" }, T);
    expect(told.openUntilMs).toBe(poor.openUntilMs);
    expect(told.retryTokens).toBe(2);
    expect(heard(poor, newsOf(healthy, T), T).retryTokens).toBe(2);
  });

  it("carries what a provider asked for", () => {
    const cooling = failed(healthy, "provider_rate_limited", 7_000, T);
    expect(availability(heard(healthy, newsOf(cooling, T), T), T)).toEqual({
      waitMs: 7_000,
      reason: "provider_rate_limited",
    });
  });
});
