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
  /** The epoch that number counts in; "": its own. As long as `producer` at most. */
  readonly intentProducer: string;
  /** There was a payload and no room for it. */
  readonly payloadOmitted: boolean;
  /** As the producer wrote it. */
  readonly header: Uint8Array;
  /** SHA-256 of the sealed payload, of no bytes where there is none: so the payload can be destroyed and the leaf still verified. */
  readonly payloadDigest: Uint8Array;
}

const VERSION = 1;
const PAYLOAD_OMITTED = 1;
// version, kind, flags, two numbers, three lengths, payload digest
const FIXED = 1 + 1 + 1 + 8 + 8 + 2 + 2 + 4 + HASH_BYTES;
const MAX_NAME_BYTES = 0xffff;
const encoder = new TextEncoder();

/**
 * The canonical bytes of a record, integers big-endian:
 *
 *     u8 version (1) | u8 kind | u8 flags (1: payload omitted) | i64 number | i64 intent number
 *     | u16 length, producer in UTF-8 | u16 length, intent producer in UTF-8 | u32 length, header | payload digest
 *
 * Every field has a fixed or a stated length, so no two records have the same bytes. The header is taken byte for byte: protobuf has
 * no canonical form, so nothing is ever encoded again to be verified.
 * @throws RangeError where a field does not fit
 */
export const canonicalRecord = (record: LeafRecord): Uint8Array => write(record, 0);

/** SHA-256(0x00 || canonical record): the leaf hash of RFC 6962 §2.1 and RFC 9162 §2.1.1. */
export const leafHash = (sha256: Sha256, record: LeafRecord): Uint8Array => sha256(write(record, 1));

/** The canonical bytes behind `zeros` zero bytes. */
function write(record: LeafRecord, zeros: number): Uint8Array {
  const { producer, intentProducer, header, payloadDigest } = record;
  if (payloadDigest.length !== HASH_BYTES) throw new RangeError("a payload digest has 32 bytes");
  if (!Number.isSafeInteger(record.number) || !Number.isSafeInteger(record.intentNumber)) {
    throw new RangeError("a record's numbers are safe integers");
  }
  if ((record.kind & 0xff) !== record.kind) throw new RangeError("a record's kind is a byte");
  const producerBytes = utf8Bytes(producer);
  const intentProducerBytes = utf8Bytes(intentProducer);
  if (Math.max(producerBytes, intentProducerBytes) > MAX_NAME_BYTES) {
    throw new RangeError(`a producer's name has at most ${MAX_NAME_BYTES} bytes`);
  }
  const bytes = new Uint8Array(zeros + FIXED + producerBytes + intentProducerBytes + header.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(zeros, VERSION);
  view.setUint8(zeros + 1, record.kind);
  view.setUint8(zeros + 2, record.payloadOmitted ? PAYLOAD_OMITTED : 0);
  setInt64(view, zeros + 3, record.number);
  setInt64(view, zeros + 11, record.intentNumber);
  let offset = zeros + 19;
  view.setUint16(offset, producerBytes);
  encoder.encodeInto(producer, bytes.subarray(offset + 2, offset + 2 + producerBytes));
  offset += 2 + producerBytes;
  view.setUint16(offset, intentProducerBytes);
  if (intentProducerBytes > 0) encoder.encodeInto(intentProducer, bytes.subarray(offset + 2));
  offset += 2 + intentProducerBytes;
  view.setUint32(offset, header.length);
  bytes.set(header, offset + 4);
  bytes.set(payloadDigest, offset + 4 + header.length);
  return bytes;
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
