import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalRecord, leafHash, type LeafRecord, type Sha256 } from "./index.ts";

const sha256: Sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const records = fc.record<LeafRecord>({
  producer: fc.string({ unit: "grapheme", maxLength: 20 }),
  number: fc.maxSafeInteger(),
  kind: fc.integer({ min: 0, max: 255 }),
  intentNumber: fc.maxSafeNat(),
  intentProducer: fc.string({ unit: "grapheme", maxLength: 8 }),
  payloadOmitted: fc.boolean(),
  header: fc.uint8Array({ maxLength: 40 }),
  payloadDigest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

/** Written the slow way, from the documented layout. */
function slowly(record: LeafRecord): string {
  const named = (text: string, lengthBytes: number): Buffer => sized(Buffer.from(text, "utf8"), lengthBytes);
  const sized = (bytes: Uint8Array, lengthBytes: number): Buffer => {
    const length = Buffer.alloc(lengthBytes);
    length.writeUIntBE(bytes.length, 0, lengthBytes);
    return Buffer.concat([length, bytes]);
  };
  const numbers = Buffer.alloc(16);
  numbers.writeBigInt64BE(BigInt(record.number), 0);
  numbers.writeBigInt64BE(BigInt(record.intentNumber), 8);
  return hex(
    Buffer.concat([
      Buffer.from([1, record.kind, record.payloadOmitted ? 1 : 0]),
      numbers,
      named(record.producer, 2),
      named(record.intentProducer, 2),
      sized(record.header, 4),
      record.payloadDigest,
    ]),
  );
}

test("canonical bytes are those documented, and the leaf is SHA-256 of a zero byte and them", () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(hex(canonicalRecord(record))).toBe(slowly(record));
      expect(hex(leafHash(sha256, record))).toBe(hex(sha256(Buffer.from(`00${slowly(record)}`, "hex"))));
    }),
  );
});

test("two records have the same bytes only if all their fields are the same", () => {
  const fields = (record: LeafRecord): string =>
    JSON.stringify([
      Buffer.from(record.producer).toString("hex"),
      Buffer.from(record.intentProducer).toString("hex"),
      record.number,
      record.kind,
      record.intentNumber,
      record.payloadOmitted,
    ]) +
    hex(record.header) +
    hex(record.payloadDigest);
  fc.assert(
    fc.property(records, records, fc.boolean(), (a, other, same) => {
      const b = same ? { ...a } : { ...a, producer: other.producer, intentProducer: other.intentProducer };
      expect(hex(canonicalRecord(a)) === hex(canonicalRecord(b))).toBe(fields(a) === fields(b));
    }),
  );
});

test("what does not fit is refused", () => {
  const record: LeafRecord = {
    producer: "p",
    number: 1,
    kind: 3,
    intentNumber: 0,
    intentProducer: "",
    payloadOmitted: false,
    header: new Uint8Array(0),
    payloadDigest: new Uint8Array(32),
  };
  expect(() => canonicalRecord({ ...record, kind: 256 })).toThrow(RangeError);
  expect(() => canonicalRecord({ ...record, number: 2 ** 53 })).toThrow(RangeError);
  expect(() => canonicalRecord({ ...record, payloadDigest: new Uint8Array(31) })).toThrow(RangeError);
  expect(() => canonicalRecord({ ...record, producer: "p".repeat(65_536) })).toThrow(RangeError);
});
