import fc from "fast-check";
import { expect, test } from "vitest";
import { merged, standsFor, unreadNumber } from "./index.ts";

test("merged ranges hold the same numbers from 1 up, sorted and apart", () => {
  const ranges = fc.array(
    fc.tuple(fc.integer({ min: -3, max: 60 }), fc.nat(5)).map(([first, more]) => ({ first, last: first + more })),
  );
  const listed = (list: readonly { first: number; last: number }[]): number[] =>
    list.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
  fc.assert(
    fc.property(ranges, (given) => {
      const result = merged(given);
      const expected = listed(given.filter(({ first }) => first >= 1));
      expect(listed(result)).toEqual([...new Set(expected)].sort((a, b) => a - b));
      for (const [index, { first }] of result.entries()) {
        if (index > 0) expect(first).toBeGreaterThan((result[index - 1]?.last ?? 0) + 1);
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
        expect(Number.isSafeInteger(unreadNumber(0, digest))).toBe(true);
        expect(unreadNumber(0, digest)).toBe(unreadNumber(0, digest));
        expect(standsFor(unreadNumber(0, digest))).toBe(0);
        expect(standsFor(missing)).toBe(missing);
      },
    ),
  );
});
