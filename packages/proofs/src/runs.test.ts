import fc from "fast-check";
import { expect, test } from "vitest";
import { rangesOfRuns, runsOf, subtracted } from "./index.ts";
import { Ranges } from "./ranges.ts";

const numbers = fc.uniqueArray(fc.nat(60), { maxLength: 40 });
const rangesIn = (given: readonly number[]): { first: number; last: number }[] => {
  const set = new Ranges();
  for (const number of given) set.add(number);
  return [...set.sorted()];
};
const all = (ranges: readonly { first: number; last: number }[]): number[] =>
  ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
const sorted = (given: readonly number[]): number[] => given.toSorted((a, b) => a - b);

test("a set of numbers, in any order of coming, is the ranges that it is; runs say the same", () => {
  fc.assert(
    fc.property(numbers, (given) => {
      const ranges = rangesIn([...given, ...given.slice(0, 5)]);
      expect(all(ranges)).toEqual(sorted(given));
      expect(rangesOfRuns(runsOf(ranges))).toEqual(ranges);
      expect(rangesOfRuns(runsOf(ranges).map(BigInt))).toEqual(ranges);
    }),
  );
});

test("what is left of a set without another", () => {
  fc.assert(
    fc.property(numbers, numbers, (of, without) => {
      const left = subtracted(rangesIn(of), rangesIn(without));
      expect(all(left)).toEqual(sorted(of).filter((number) => !without.includes(number)));
    }),
  );
});

test("whatever is no list of runs is refused, and nothing is made of what it claims", () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), (runs) => {
      try {
        for (const { first, last } of rangesOfRuns(runs))
          expect(first <= last && Number.isSafeInteger(last)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
  expect(() => rangesOfRuns([1])).toThrow("pairs");
  expect(() => rangesOfRuns([1, 0])).toThrow("at least one");
});
