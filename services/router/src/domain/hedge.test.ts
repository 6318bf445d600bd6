import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Hedge } from "./hedge.ts";
import { LatencyQuantile } from "./latency-quantile.ts";

describe("the budget of hedges", () => {
  it("never lets more through than its share of the requests so far", () => {
    const steps = fc.array(fc.constantFrom("request", "hedge", "refund"), { maxLength: 500 });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1, noNaN: true }), steps, (budget, taken) => {
        const hedge = new Hedge({ afterMs: 1, budget });
        let [requests, hedges] = [0, 0];
        for (const step of taken) {
          if (step === "request") {
            requests += 1;
            hedge.earn();
          } else if (step === "hedge") {
            if (hedge.spend()) hedges += 1;
          } else if (hedges > 0) {
            hedge.refund();
            hedges -= 1;
          }
          expect(hedges).toBeLessThanOrEqual(budget * requests + 1e-6);
        }
      }),
    );
  });

  it("allows its whole share to a steady stream of slow requests", () => {
    const hedge = new Hedge({ afterMs: 1, budget: 0.05 });
    let hedges = 0;
    for (let request = 0; request < 1_000; request++) {
      hedge.earn();
      if (hedge.spend()) hedges += 1;
    }
    expect(hedges).toBe(50);
  });
});

describe("when a hedge is made", () => {
  it("is as configured, or when all but five of a hundred would have answered: streams and whole answers each by their own", () => {
    expect(new Hedge({ afterMs: 700, budget: 1 }).afterMs(true)).toBe(700);
    const hedge = new Hedge({ afterMs: "p95", budget: 1 });
    expect(hedge.afterMs(false)).toBeUndefined();
    for (let ms = 1; ms <= 100; ms++) hedge.note(false, ms);
    expect(hedge.afterMs(false)).toBeGreaterThanOrEqual(95);
    expect(hedge.afterMs(false)).toBeLessThanOrEqual(95 * 1.2);
    expect(hedge.afterMs(true)).toBeUndefined();
  });

  it("is within a fifth above the exact quantile of what was seen", () => {
    const times = fc.array(fc.double({ min: 1, max: 600_000, noNaN: true }), { minLength: 20, maxLength: 300 });
    fc.assert(
      fc.property(times, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (seen, q) => {
        const quantile = new LatencyQuantile();
        for (const ms of seen) quantile.note(ms);
        const exact = seen.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(q * seen.length - 1e-9) - 1)] ?? 0;
        const found = quantile.at(q) ?? 0;
        expect(found).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(found).toBeLessThanOrEqual(exact * 1.2 * (1 + 1e-9));
      }),
    );
  });

  it("forgets what was long ago", () => {
    const quantile = new LatencyQuantile();
    for (let count = 0; count < 500; count++) quantile.note(10_000);
    for (let count = 0; count < 10_000; count++) quantile.note(10);
    expect(quantile.at(0.95)).toBeLessThan(13);
  });
});
