import { expect, test } from "vitest";
import { centroidShift } from "./centroid-shift.ts";
import { fisher } from "./fisher.ts";
import { meanShift, type Sums } from "./mean-shift.ts";
import { SeededRandom } from "./random.ts";
import { Regression } from "./regression.ts";

/** The smaller tail of the hypergeometric distribution, doubled, in whole numbers. */
function exactly(hits1: number, count1: number, hits2: number, count2: number): number {
  const choose = (n: number, k: number): bigint => {
    let value = 1n;
    for (let i = 1n; i <= BigInt(k); i++) value = (value * (BigInt(n) - i + 1n)) / i;
    return k < 0 || k > n ? 0n : value;
  };
  const hits = hits1 + hits2;
  const term = (k: number): bigint => choose(count1, k) * choose(count2, hits - k);
  let [low, high] = [0n, 0n];
  for (let k = 0; k <= Math.min(hits, count1); k++) {
    if (k <= hits1) low += term(k);
    if (k >= hits1) high += term(k);
  }
  const all = choose(count1 + count2, hits);
  const scale = 10n ** 30n;
  return Math.min(1, Number((2n * (low < high ? low : high) * scale) / all) / 1e30);
}

test("Fisher: the tea tasting, and any table, as whole numbers have it", () => {
  // One side of the tea tasting is 17/70.
  expect(fisher(3, 4, 1, 4)).toBeCloseTo(34 / 70, 12);
  expect(fisher(4, 4, 0, 4)).toBeCloseTo(2 / 70, 12);
  expect(fisher(0, 10, 0, 10)).toBe(1);
  expect(fisher(0, 0, 3, 10)).toBe(1);
  const random = new SeededRandom(5);
  for (let times = 0; times < 60; times++) {
    const [count1, count2] = [1 + random.below(120), 1 + random.below(250)];
    const [hits1, hits2] = [random.below(count1 + 1), random.below(count2 + 1)];
    const exact = exactly(hits1, count1, hits2, count2);
    expect(Math.abs(fisher(hits1, count1, hits2, count2) - exact)).toBeLessThanOrEqual(1e-9 * exact + 1e-25);
  }
  // Far beyond whole numbers' reach: one in ten thousand against one in a hundred.
  expect(fisher(100, 1_000_000, 100, 10_000)).toBeLessThan(1e-100);
});

const sumsOf = (count: number, draw: () => number): Sums => {
  let [sum, squares] = [0, 0];
  for (let at = 0; at < count; at++) {
    const value = draw();
    sum += value;
    squares += value * value;
  }
  return { count, sum, squares };
};
const uniform = (random: SeededRandom): number => random.next32() / 0x1_0000_0000;

test("false alarms stay below the level that is asked for: rare bad scores, coins, small windows", () => {
  const random = new SeededRandom(11);
  const draws: (() => number)[] = [
    () => (uniform(random) < 0.01 ? 0 : 1),
    () => (uniform(random) < 0.5 ? 0 : 1),
    () => uniform(random) ** 4,
    () => 1,
  ];
  for (const draw of draws) {
    let [means, refusals] = [0, 0];
    const trials = 400;
    for (let trial = 0; trial < trials; trial++) {
      const [before, now] = [sumsOf(700, draw), sumsOf(40 + (trial % 160), draw)];
      if (meanShift(before, now) <= 0.05) means++;
      if (fisher(Math.round(before.sum), before.count, Math.round(now.sum), now.count) <= 0.05) refusals++;
    }
    // Binomial(400, 0.05) is above 36 once in ten thousand times.
    expect(means).toBeLessThanOrEqual(36);
    expect(refusals).toBeLessThanOrEqual(36);
  }
});

test("what did change is found, once there is enough of it", () => {
  const random = new SeededRandom(3);
  const before = sumsOf(5_000, () => 0.8 + 0.1 * uniform(random));
  const now = sumsOf(1_000, () => 0.7 + 0.1 * uniform(random));
  expect(meanShift(before, now)).toBeLessThan(1e-6);
  expect(
    meanShift(
      before,
      sumsOf(1, () => 0),
    ),
  ).toBe(1);
  expect(fisher(50, 5_000, 40, 1_000)).toBeLessThan(1e-6);
});

test("centroids: no alarm for the same distribution, one for another direction", () => {
  const random = new SeededRandom(8);
  const dimensions = 16;
  const centroid = (count: number, lean: number) => {
    const sum = Array.from({ length: dimensions }, () => 0);
    for (let at = 0; at < count; at++) {
      const vector = sum.map((_, axis) => uniform(random) - 0.5 + (axis === 0 ? lean : 0));
      const length = Math.hypot(...vector);
      for (let axis = 0; axis < dimensions; axis++) sum[axis] = (sum[axis] ?? 0) + (vector[axis] ?? 0) / length;
    }
    return { count, sum };
  };
  let alarms = 0;
  for (let trial = 0; trial < 100; trial++) if (centroidShift(centroid(200, 0.5), centroid(60, 0.5)) <= 0.05) alarms++;
  expect(alarms).toBeLessThanOrEqual(5);
  expect(centroidShift(centroid(2_000, 0.5), centroid(500, -0.5))).toBeLessThan(1e-6);
  expect(centroidShift(centroid(10, 0.5), { count: 0, sum: [] })).toBe(1);
});

test("regression: the line through points on a line, and none where there is none", () => {
  const line = new Regression();
  for (const x of [-2, -1, 0.5, 3, 8]) line.add(x, 0.25 + 0.125 * x);
  expect(line.line()?.intercept).toBeCloseTo(0.25, 12);
  expect((line.line()?.high ?? 0) - (line.line()?.low ?? 0)).toBeLessThan(1e-6);
  const flat = new Regression();
  for (const y of [1, 2, 3, 4]) flat.add(2, y);
  expect(flat.line()).toBeUndefined();
  // Anscombe's first set (1973): y = 3.00 + 0.500 x; the intercept's standard error is 1.1247.
  const anscombe = new Regression();
  const xs = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
  const ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
  for (const [at, x] of xs.entries()) anscombe.add(x, ys[at] ?? 0);
  expect(anscombe.line()?.intercept).toBeCloseTo(3.00009, 4);
  expect(((anscombe.line()?.high ?? 0) - (anscombe.line()?.low ?? 0)) / 2 / 1.959964).toBeCloseTo(1.1247, 3);
});
