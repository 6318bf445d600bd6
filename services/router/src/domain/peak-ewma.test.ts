import fc from "fast-check";
import { expect, it } from "vitest";
import { faded, observed, UNSEEN } from "./peak-ewma.ts";

it("jumps to a peak at once, and comes down as it sees better ones", () => {
  let seen = observed(UNSEEN, 100, 0);
  seen = observed(seen, 500, 10);
  expect(seen.valueMs).toBe(500);
  for (let nowMs = 100; nowMs <= 40_000; nowMs += 100) seen = observed(seen, 100, nowMs);
  expect(seen.valueMs).toBeGreaterThanOrEqual(100);
  expect(seen.valueMs).toBeLessThan(110);
});

it("fades without news, and never leaves what was seen", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.nat(3_000)), { minLength: 1 }), (news) => {
      let [seen, nowMs] = [UNSEEN, 0];
      for (const [latencyMs, pauseMs] of news) seen = observed(seen, latencyMs, (nowMs += pauseMs));
      const all = news.map(([latencyMs]) => latencyMs);
      expect(seen.valueMs).toBeLessThanOrEqual(Math.max(...all));
      expect(seen.valueMs).toBeGreaterThanOrEqual(Math.min(...all) - 1e-6);
      expect(faded(seen, nowMs + 1_000)).toBeLessThan(faded(seen, nowMs));
      expect(faded(seen, nowMs - 1_000)).toBe(faded(seen, nowMs));
    }),
  );
});
