import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { API_KEY_RANDOM_BYTES, apiKeyOf, isWellFormed, shownPrefix } from "./api-key.ts";

const random = fc.uint8Array({ minLength: API_KEY_RANDOM_BYTES, maxLength: API_KEY_RANDOM_BYTES });

test("a key has its form, its checksum, and shows only its beginning", () => {
  fc.assert(
    fc.property(random, (bytes) => {
      const key = apiKeyOf(bytes);
      fc.pre(key !== undefined);
      expect(key).toMatch(/^wk_[0-9A-Za-z]{38}$/);
      expect(isWellFormed(key)).toBe(true);
      expect(key.startsWith(shownPrefix(key))).toBe(true);
      expect(shownPrefix(key)).toHaveLength(8);
    }),
  );
});

test("the checksum is CRC-32", () => {
  const key = apiKeyOf(new Uint8Array(API_KEY_RANDOM_BYTES)) ?? "";
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const value = Array.from(key.slice(-6)).reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0);
  expect(value).toBe(crc32(key.slice(0, -6)));
});

test("any one wrong character is found", () => {
  const key = apiKeyOf(Uint8Array.from({ length: API_KEY_RANDOM_BYTES }, (_, i) => i * 3)) ?? "";
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: key.length - 1 }),
      fc.constantFrom("0", "a", "Z", "9", "x", "B"),
      (at, wrong) => {
        fc.pre(key[at] !== wrong);
        expect(isWellFormed(key.slice(0, at) + wrong + key.slice(at + 1))).toBe(false);
      },
    ),
  );
});

test("no text makes the check fail otherwise than by saying no", () => {
  fc.assert(fc.property(fc.string(), (text) => !isWellFormed(text)));
});

test("bytes that would make some characters likelier are skipped, and too few of the others give no key", () => {
  const bytes = new Uint8Array(API_KEY_RANDOM_BYTES).fill(255);
  expect(apiKeyOf(bytes)).toBe(undefined);
  bytes.fill(0, 0, 32);
  expect(apiKeyOf(bytes)?.slice(3, 35)).toBe("0".repeat(32));
});
