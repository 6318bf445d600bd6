import fc from "fast-check";
import { expect, test } from "vitest";
import { rangesOf, standsFor, unreadNumber } from "./accounting.ts";

test("ranges hold exactly the numbers from 1 up, sorted and apart", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 60 })), (numbers) => {
      const ranges = rangesOf(numbers);
      const listed = ranges.flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, at) => first + at),
      );
      expect(listed).toEqual([...new Set(numbers.filter((number) => number >= 1))].sort((a, b) => a - b));
      for (const [index, { first }] of ranges.entries()) {
        if (index > 0) expect(first).toBeGreaterThan((ranges[index - 1]?.last ?? 0) + 1);
      }
    }),
  );
});

test("bytes that could not be read never take a true record's number, and say which number they stand for if that is known", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 47 }),
      fc.uint8Array({ minLength: 6, maxLength: 32 }),
      (missing, digest) => {
        expect(unreadNumber(missing, digest)).toBeLessThan(0);
        expect(standsFor(unreadNumber(missing, digest))).toBe(missing);
        expect(Number.isSafeInteger(unreadNumber(undefined, digest))).toBe(true);
        expect(unreadNumber(undefined, digest)).toBe(unreadNumber(undefined, digest));
        expect(standsFor(unreadNumber(undefined, digest))).toBe(0);
        expect(standsFor(missing)).toBe(missing);
      },
    ),
  );
});
