import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SealError, unwrap, wrap, WRAPPED_KEY_BYTES } from "./index.ts";

test("a wrapped secret comes back under its key and for its use only; no other bytes do", () => {
  const [key, other] = [randomBytes(32), randomBytes(32)];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.string(),
      fc.nat(),
      fc.uint8Array(),
      (secret, use, bit, bytes) => {
        const wrapped = wrap(secret, key, use);
        expect(unwrap(wrapped, key, use).equals(secret)).toBe(true);
        const changed = Buffer.from(wrapped);
        const place = bit % (changed.length * 8);
        changed[place >> 3] = (changed[place >> 3] ?? 0) ^ (1 << (place & 7));
        for (const [given, under, why] of [
          [wrapped, other, use],
          [wrapped, key, `${use}.`],
          [changed, key, use],
          [wrapped.subarray(0, -1), key, use],
          [bytes, key, use],
        ] as const)
          expect(() => unwrap(given, under, why)).toThrow(SealError);
      },
    ),
  );
  expect(wrap(randomBytes(32), key, "")).toHaveLength(WRAPPED_KEY_BYTES);
});
