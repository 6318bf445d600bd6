import fc from "fast-check";
import { expect, test } from "vitest";
import { cacheControlOf } from "./cache-control.ts";

const ALL = { read: true, write: true, maxAgeMs: Infinity, semantic: true };

test.each([
  [undefined, undefined, ALL],
  ["", "", ALL],
  ["no-store", undefined, { ...ALL, read: false, write: false }],
  ["No-Cache", undefined, { ...ALL, read: false }],
  ["max-age=5", undefined, { ...ALL, maxAgeMs: 5_000 }],
  ["max-age=5, max-age=3, public", undefined, { ...ALL, maxAgeMs: 3_000 }],
  ["max-age=-1, max-age=x, only-if-cached", undefined, ALL],
  [undefined, "exact", { ...ALL, semantic: false }],
  ["max-age=0", " Semantic ", { ...ALL, maxAgeMs: 0 }],
  [undefined, "off", { ...ALL, read: false, write: false }],
])("%s and %s", (header, most, control) => {
  expect(cacheControlOf(header, most)).toEqual(control);
});

test("another word of Weir's own is an error, which names its header", () => {
  expect(() => cacheControlOf(undefined, "never")).toThrow(expect.objectContaining({ param: "x-weir-cache" }));
});

test("any cache-control is read, and none asks for more than there is", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z=, -]*\d*$/)), (header) => {
      const { maxAgeMs, ...rest } = cacheControlOf(header);
      expect(maxAgeMs).toBeGreaterThanOrEqual(0);
      if (!rest.write) expect(rest.read).toBe(false);
    }),
  );
});
