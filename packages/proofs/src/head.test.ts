import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalHead, FIRST_PREVIOUS, parseHead, type TreeHead } from "./index.ts";

const digest = (text: string): Uint8Array => Uint8Array.from(createHash("sha256").update(text).digest());
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const heads: fc.Arbitrary<TreeHead> = fc.record({
  logId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  size: fc.maxSafeNat(),
  root: hashes,
  atMs: fc.maxSafeNat(),
  previous: hashes,
  epochs: fc.array(
    fc.record({
      producer: fc
        .string({ unit: "grapheme", maxLength: 30 })
        .map((text) => Buffer.from(text, "utf8").toString("utf8")),
      contiguous: fc.maxSafeNat(),
      closed: fc.boolean(),
    }),
    { maxLength: 5 },
  ),
});

const FIRST: TreeHead = {
  logId: digest("log").subarray(0, 16),
  size: 3,
  root: digest("root"),
  atMs: 1_760_000_000_000,
  previous: FIRST_PREVIOUS,
  epochs: [{ producer: "ingress/0/é", contiguous: 7, closed: true }],
};

test("the bytes that are signed are those documented", () => {
  const number = (value: number, bytes: number): string => value.toString(16).padStart(bytes * 2, "0");
  const wanted = [
    Buffer.from("weir tree head 1").toString("hex"),
    Buffer.from(FIRST.logId).toString("hex"),
    number(3, 8),
    number(1_760_000_000_000, 8),
    Buffer.from(FIRST.root).toString("hex"),
    "00".repeat(32),
    number(1, 4),
    number(12, 2),
    Buffer.from("ingress/0/é").toString("hex"),
    number(7, 8),
    "01",
  ];
  expect(Buffer.from(canonicalHead(FIRST)).toString("hex")).toBe(wanted.join(""));
});

test("what was written is read again", () => {
  fc.assert(
    fc.property(heads, (head) => {
      expect(parseHead(canonicalHead(head))).toEqual(head);
    }),
  );
});

test("bytes that are no head are none, and no two byte strings are the same head", () => {
  const bytes = canonicalHead(FIRST);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(255), (noise, place, value) => {
      expect(parseHead(noise)).toBeUndefined();
      const changed = bytes.slice();
      changed[place % bytes.length] = value;
      const read = parseHead(changed);
      if (read !== undefined) expect(canonicalHead(read)).toEqual(changed);
      expect(parseHead(bytes.slice(0, place % bytes.length))).toBeUndefined();
      expect(parseHead(new Uint8Array([...bytes, value]))).toBeUndefined();
    }),
  );
});

test("what does not fit is refused", () => {
  expect(() => canonicalHead({ ...FIRST, size: -1 })).toThrow(RangeError);
  expect(() => canonicalHead({ ...FIRST, size: 2 ** 53 })).toThrow(RangeError);
  expect(() => canonicalHead({ ...FIRST, root: new Uint8Array(31) })).toThrow(RangeError);
  expect(() => canonicalHead({ ...FIRST, logId: new Uint8Array(15) })).toThrow(RangeError);
  const epochs = [{ producer: "p".repeat(65_536), contiguous: 0, closed: false }];
  expect(() => canonicalHead({ ...FIRST, epochs })).toThrow(RangeError);
});
