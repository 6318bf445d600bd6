import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AdaptiveLimit } from "./concurrency-limit.ts";
import { WaitingLine } from "./waiting-line.ts";

/** A provider that serves so many at once; what is more waits for them. */
function settled(limit: AdaptiveLimit, capacity: number, clients: number, calls = 4_000, usualMs = 100): number {
  for (let call = 0; call < calls; call++) {
    const inFlight = Math.min(clients, limit.limit);
    limit.answered(false, usualMs * Math.max(1, inFlight / capacity), inFlight);
  }
  return limit.limit;
}

describe("the adaptive limit", () => {
  it("grows while a target is as fast as ever, and not where nobody needs more", () => {
    expect(settled(new AdaptiveLimit(), 100_000, 10_000)).toBeGreaterThan(500);
    expect(settled(new AdaptiveLimit(), 100_000, 4)).toBe(20);
  });

  it("stays near what a target can serve at once", () => {
    for (const capacity of [30, 60, 120]) {
      const found = settled(new AdaptiveLimit(), capacity, 10_000, 20_000);
      expect(found).toBeGreaterThanOrEqual(capacity);
      expect(found).toBeLessThanOrEqual(2 * capacity);
    }
  });

  it("falls when a target becomes slow, and comes back with it", () => {
    const limit = new AdaptiveLimit();
    const before = settled(limit, 200, 10_000, 200);
    for (let call = 0; call < 60; call++) limit.answered(false, 1_000, limit.limit);
    const slow = limit.limit;
    expect(slow).toBeLessThan(before / 2);
    expect(settled(limit, 200, 10_000, 1_000)).toBeGreaterThan(slow * 2);
  });

  it("believes a provider that says it is overloaded, and is never below one", () => {
    const limit = new AdaptiveLimit();
    for (let times = 0; times < 10; times++) limit.overloaded();
    expect(limit.limit).toBe(6);
    for (let times = 0; times < 100; times++) limit.overloaded();
    expect(limit.limit).toBe(1);
  });

  it("is a number of calls whatever it is told", () => {
    const told = fc.array(
      fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1e9, noNaN: true }), fc.nat(2_000), fc.boolean()),
    );
    fc.assert(
      fc.property(told, (steps) => {
        const limit = new AdaptiveLimit();
        for (const [stream, ms, inFlight, over] of steps) {
          if (over) limit.overloaded();
          else limit.answered(stream, ms, inFlight);
          expect(Number.isInteger(limit.limit)).toBe(true);
          expect(limit.limit).toBeGreaterThanOrEqual(1);
          expect(limit.limit).toBeLessThanOrEqual(1_000);
        }
      }),
    );
  });
});

describe("the line before a target", () => {
  it("equals its model: never longer than allowed, the highest and oldest first, the lowest and youngest turned away", () => {
    const steps = fc.array(fc.oneof(fc.nat(9), fc.constantFrom("admit", "leave")), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 }), steps, (most, taken) => {
        const line = new WaitingLine(most);
        const events: string[] = [];
        const expected: string[] = [];
        let model: { priority: number; id: number }[] = [];
        const entries = new Map<number, Parameters<WaitingLine["enter"]>[0]>();
        let next = 0;
        for (const step of taken) {
          if (typeof step === "number") {
            const id = next++;
            const one = {
              priority: step,
              admit: () => void events.push(`in ${id}`),
              shed: () => void events.push(`out ${id}`),
            };
            entries.set(id, one);
            if (!line.enter(one)) events.push(`out ${id}`);
            model.push({ priority: step, id });
            model = model.toSorted((a, b) => b.priority - a.priority || a.id - b.id);
            if (model.length > most) expected.push(`out ${model.pop()?.id}`);
          } else if (step === "admit") {
            const first = model.shift();
            expect(line.admitNext()).toBe(first !== undefined);
            if (first !== undefined) expected.push(`in ${first.id}`);
          } else {
            const gone = model.pop();
            const one = gone && entries.get(gone.id);
            if (one !== undefined) line.leave(one);
          }
          expect(line.length).toBe(model.length);
          expect(events).toEqual(expected);
        }
      }),
    );
  });
});
