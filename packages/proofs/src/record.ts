import { HASH_BYTES, type Sha256 } from "./sha256.ts";

/** What a leaf of the audit log commits to. */
export interface LeafRecord {
  /** The epoch that wrote it; in UTF-8 at most 65,535 bytes. */
  readonly producer: string;
  /** Its number in the epoch; for bytes that could not be read, minus the number they stood for. A safe integer. */
  readonly number: number;
  /** RecordKind of weir.audit.v1. 0 to 255. */
  readonly kind: number;
  /** The number of the intent it answers; 0: none. */
  readonly intentNumber: number;
  /** As the producer wrote it. */
  readonly header: Uint8Array;
  /** SHA-256 of the sealed payload, of no bytes where there is none: so the payload can be destroyed and the leaf still verified. */
  readonly payloadDigest: Uint8Array;
}

const VERSION = 1;
const FIXED = 1 + 1 + 8 + 8 + 2 + 4 + HASH_BYTES;
const encoder = new TextEncoder();

/**
 * The canonical bytes of a record, integers big-endian:
 *
 *     u8 version (1) | u8 kind | i64 number | i64 intent number | u16 length, producer in UTF-8 | u32 length, header | payload digest
 *
 * Every field has a fixed or a stated length, so no two records have the same bytes. The header is taken byte for byte: protobuf has
 * no canonical form, so nothing is ever encoded again to be verified.
 * @throws RangeError where a field does not fit
 */
export function canonicalRecord(record: LeafRecord): Uint8Array {
  const bytes = new Uint8Array(FIXED + utf8Bytes(record.producer) + record.header.length);
  writeRecord(record, bytes, 0);
  return bytes;
}

/** SHA-256(0x00 || canonical record): the leaf hash of RFC 6962 §2.1 and RFC 9162 §2.1.1. */
export function leafHash(sha256: Sha256, record: LeafRecord): Uint8Array {
  const bytes = new Uint8Array(1 + FIXED + utf8Bytes(record.producer) + record.header.length);
  writeRecord(record, bytes, 1); // bytes[0] stays 0x00
  return sha256(bytes);
}

function writeRecord(record: LeafRecord, bytes: Uint8Array, start: number): void {
  if (record.payloadDigest.length !== HASH_BYTES) throw new RangeError("a payload digest has 32 bytes");
  if (!Number.isSafeInteger(record.number) || !Number.isSafeInteger(record.intentNumber)) {
    throw new RangeError("a record's numbers are safe integers");
  }
  if ((record.kind & 0xff) !== record.kind) throw new RangeError("a record's kind is a byte");
  const view = new DataView(bytes.buffer, bytes.byteOffset + start);
  view.setUint8(0, VERSION);
  view.setUint8(1, record.kind);
  setInt64(view, 2, record.number);
  setInt64(view, 10, record.intentNumber);
  const name = start + 20;
  const producerLength = bytes.length - start - FIXED - record.header.length;
  if (producerLength > 0xffff) throw new RangeError("a producer's name has at most 65535 bytes");
  view.setUint16(18, producerLength);
  encoder.encodeInto(record.producer, bytes.subarray(name, name + producerLength));
  view.setUint32(20 + producerLength, record.header.length);
  bytes.set(record.header, name + producerLength + 4);
  bytes.set(record.payloadDigest, name + producerLength + 4 + record.header.length);
}

/** Two halves, since a BigInt per number costs more than the rest; floor() makes it two's complement. */
function setInt64(view: DataView, offset: number, value: number): void {
  view.setInt32(offset, Math.floor(value / 0x1_0000_0000));
  view.setUint32(offset + 4, value >>> 0);
}

function utf8Bytes(text: string): number {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return encoder.encode(text).length;
  }
  return text.length;
}
