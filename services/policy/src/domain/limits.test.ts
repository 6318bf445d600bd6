import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { incrementUs, NEVER_US, rateOf, shareOf, taken } from "./gcra.ts";
import type { LimitOnPath, LimitUnit } from "./key-policy.ts";
import { obstacleOf, onlyQueuesObstruct, stateOf, takeFits } from "./limits.ts";
import { impossibleTake, type RateTake, shareOfTake, type SlotTake } from "./takes.ts";

const limitOf = (unit: LimitUnit, amount: number, windowMs: number, burst: number): LimitOnPath => ({
  id: 7,
  place: "workspace",
  placeName: "w",
  per: "key",
  unit,
  amount,
  windowMs,
  burst,
  failClosed: false,
});

function rateTake(
  amount: number,
  windowMs: number,
  burst: number,
  cost: number,
  queue?: LimitOnPath["queue"],
): RateTake {
  const rate = rateOf(amount, windowMs, burst);
  const limit = { ...limitOf("tokens", amount, windowMs, burst), queue };
  return { kind: "rate", limit, bucket: "b", rate, cost, incUs: incrementUs(rate, cost) };
}

const slotTake = (capacity: number): SlotTake => ({
  kind: "slot",
  limit: limitOf("concurrency", capacity, 0, 0),
  bucket: "s",
  capacity,
});

const NOW_US = 1_800_000_000_123_456;

test("after retry-after, in whole seconds, a refused request fits under all of its limits; a second earlier under not all", () => {
  const one = fc
    .record({
      amount: fc.integer({ min: 1, max: 5000 }),
      windowMs: fc.integer({ min: 1000, max: 86_400_000 }),
      burst: fc.integer({ min: 0, max: 500 }),
      cost: fc.integer({ min: 1, max: 5000 }),
      ahead: fc.double({ min: -1, max: 2, noNaN: true }),
    })
    .filter(({ amount, burst, cost }) => cost <= amount + burst);
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 5 }), (limits) => {
      const takes = limits.map(({ amount, windowMs, burst, cost }) => rateTake(amount, windowMs, burst, cost));
      const states = limits.map(({ ahead, windowMs }) => NOW_US + Math.round(ahead * windowMs * 1000));
      const fitsAt = (nowUs: number) => takes.every((take, i) => takeFits(take, states[i] as number, nowUs));
      fc.pre(!fitsAt(NOW_US) && impossibleTake(takes) === undefined);
      const { waitMs } = obstacleOf(takes, { refused: 0, states, nowUs: NOW_US });
      const retryAfterS = Math.ceil(waitMs / 1000);
      expect(fitsAt(NOW_US + retryAfterS * 1_000_000)).toBe(true);
      expect(fitsAt(NOW_US + (retryAfterS - 1) * 1_000_000)).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

test("what has to be waited for the longest is named, whichever refused first", () => {
  const [short, long] = [rateTake(10, 1000, 0, 1), rateTake(10, 100_000, 0, 1)];
  const states = [taken(NEVER_US, NOW_US, short.incUs), taken(NEVER_US, NOW_US, long.incUs)];
  expect(obstacleOf([short, long], { refused: 0, states, nowUs: NOW_US })).toEqual({ take: long, waitMs: 10_000 });
  const full = obstacleOf([slotTake(1), short], { refused: 0, states: [1, NOW_US], nowUs: NOW_US });
  expect(full).toMatchObject({ take: { kind: "slot" }, waitMs: 1000 });
});

test("a limit's state is told in its own unit", () => {
  const tokens = rateTake(600, 60_000, 60, 100);
  expect(stateOf(tokens, NOW_US + 10_000_000, NOW_US)).toEqual({
    unit: "tokens",
    name: "tokens-per-key-7",
    limit: 600,
    remaining: 0,
    resetMs: 10_000,
    windowMs: 60_000,
  });
  expect(stateOf(slotTake(4), 3, NOW_US)).toMatchObject({ unit: "concurrency", limit: 4, remaining: 1, resetMs: 0 });
  expect(stateOf(slotTake(4), 5, NOW_US).remaining).toBe(0);
});

test("only what nothing but queues keeps out may wait", () => {
  const queue = { maxWaitMs: 1000, maxLength: 10, weight: 1 };
  const [queued, plain] = [rateTake(10, 10_000, 0, 1, queue), rateTake(10, 10_000, 0, 1)];
  const full = NOW_US + 5_000_000;
  const verdict = (states: number[]) => ({ refused: 0, states, nowUs: NOW_US });
  expect(onlyQueuesObstruct([queued, plain], verdict([full, NOW_US]))).toBe(true);
  expect(onlyQueuesObstruct([queued, plain], verdict([full, full]))).toBe(false);
  expect(onlyQueuesObstruct([queued, slotTake(1)], verdict([full, 1]))).toBe(false);
});

describe("without Redis each replica has its share", () => {
  const rates = fc.record({
    amount: fc.integer({ min: 1, max: 2000 }),
    windowMs: fc.integer({ min: 1000, max: 120_000 }),
    burst: fc.integer({ min: 0, max: 500 }),
  });

  test("together they admit no more than the limit, at once and in the long run", () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 8 }), ({ amount, windowMs, burst }, replicas) => {
        fc.pre(burst + 1 >= replicas);
        const rate = rateOf(amount, windowMs, burst);
        const share = shareOf(rate, replicas);
        const inc = incrementUs(share, 1);
        const atOnce = Math.floor(share.toleranceUs / inc);
        expect(atOnce * replicas).toBeLessThanOrEqual(burst + 1);
        expect((replicas * windowMs * 1000) / inc).toBeLessThanOrEqual(amount);
        expect((replicas * windowMs * 1000) / inc).toBeGreaterThan(amount * 0.99 - 1);
      }),
    );
  });

  test("a cost that fits under the limit fits under the share, in its time", () => {
    const take = rateTake(1000, 60_000, 100, 1100);
    const share = shareOfTake(take, 4) as RateTake;
    expect(takeFits(share, NEVER_US, NOW_US)).toBe(true);
    const after = taken(NEVER_US, NOW_US, share.incUs);
    expect(takeFits(shareOfTake(rateTake(1000, 60_000, 100, 1), 4), after, NOW_US + 4 * 60_000_000)).toBe(false);
    expect(takeFits(shareOfTake(rateTake(1000, 60_000, 100, 1), 4), after, NOW_US + 5 * 60_000_000)).toBe(true);
  });

  test("slots are shared out whole, at least one to each", () => {
    expect([1, 2, 3, 4, 9].map((replicas) => (shareOfTake(slotTake(4), replicas) as SlotTake).capacity)).toEqual([
      4, 2, 1, 1, 1,
    ]);
  });
});
