import { crc32 } from "node:zlib";

/*
 * One record, on disk and on the bus. Little endian.
 *
 *    0 u32 length   of all that follows the checksum
 *    4 u32 crc32    of those bytes
 *    8 u8  kind     FRAME_KIND
 *    9 u8  flags    1: the payload or some of it was left out · 2: an origin follows
 *   10 u48 number   in the producer's epoch, from 1 without a gap
 *   16 u48 ref      the intent it answers, else 0
 *   22 u32 header length
 *   26 [u8 origin length, origin] header payload
 *
 * The origin is the producer whose intent is answered, where that is not the frame's own: a dead epoch's. It is part of the frame, so that
 * "this intent has its outcome" and the outcome itself reach the disk together or not at all.
 */

/** Equal to RecordKind of weir.audit.v1. */
export const FRAME_KIND = {
  epochOpen: 1,
  intent: 2,
  outcome: 3,
  refusal: 4,
  mark: 5,
  epochClose: 6,
  /** Bytes that are no frame, kept as the header of one. */
  quarantined: 7,
  /** By a relay: the producer's signature over the frames before it in a batch. Its number is 0. */
  signature: 14,
} as const;

export interface Frame {
  readonly kind: number;
  /** 1 … 2^48 - 1. Of a quarantined one: the first number that is missing where its bytes lay; 0: not known. */
  readonly number: number;
  /** The intent this answers, else 0. Of a quarantined one: the last number that is missing where its bytes lay; 0: not known. */
  readonly ref: number;
  /** The producer that `ref` counts in; "": the frame's own. */
  readonly origin: string;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  /** There was a payload, and no room for it, or its writer had to leave out some of it. */
  readonly payloadOmitted: boolean;
}

export const FRAME_OVERHEAD = 26;
/** A frame with its neighbours must fit a NATS message, which is 1 MiB at most by default. */
export const MAX_FRAME_BYTES = 960 * 1024;

export const PAYLOAD_OMITTED = 1;
export const HAS_ORIGIN = 2;

const PREFIX = 8;
const MIN_LENGTH = FRAME_OVERHEAD - PREFIX;
const MAX_LENGTH = MAX_FRAME_BYTES - PREFIX;
const HIGH = 2 ** 32;

/**
 * Writes a frame at `offset`, where the caller has made sure of FRAME_OVERHEAD + header + payload bytes of room (and 1 + origin, with
 * HAS_ORIGIN). @returns the offset behind it
 */
export function writeFrame(
  target: Buffer,
  offset: number,
  kind: number,
  flags: number,
  number: number,
  ref: number,
  header: Uint8Array,
  payload: Uint8Array,
  origin: Uint8Array | undefined,
): number {
  target[offset + 8] = kind;
  target[offset + 9] = flags;
  // Two plain stores each: writeUIntLE(…, 6) costs three times as much.
  target.writeUInt32LE(number % HIGH, offset + 10);
  target.writeUInt16LE((number / HIGH) | 0, offset + 14);
  target.writeUInt32LE(ref % HIGH, offset + 16);
  target.writeUInt16LE((ref / HIGH) | 0, offset + 20);
  target.writeUInt32LE(header.length, offset + 22);
  let at = offset + FRAME_OVERHEAD;
  if (origin !== undefined) {
    target[at] = origin.length;
    target.set(origin, at + 1);
    at += 1 + origin.length;
  }
  target.set(header, at);
  at += header.length;
  if (payload.length > 0) {
    target.set(payload, at);
    at += payload.length;
  }
  sealFrame(target, offset, at);
  return at;
}

/** Writes length and checksum of the frame whose other bytes are in place. */
function sealFrame(target: Buffer, offset: number, end: number): void {
  target.writeUInt32LE(end - offset - PREFIX, offset);
  target.writeUInt32LE(crc32(target.subarray(offset + PREFIX, end)), offset + 4);
}

/** Gives a whole frame another number. */
export function renumberFrame(target: Buffer, offset: number, end: number, number: number): void {
  target.writeUInt32LE(number % HIGH, offset + 10);
  target.writeUInt16LE((number / HIGH) | 0, offset + 14);
  sealFrame(target, offset, end);
}

/**
 * The length of the frame at `offset`, its checksum proved; 0: the bytes end before it does, and what is there may be its beginning;
 * -1: no frame.
 */
export function frameAt(bytes: Buffer, offset: number, end: number): number {
  if (end - offset < FRAME_OVERHEAD) {
    const length = end - offset >= 4 ? bytes.readUInt32LE(offset) : MIN_LENGTH;
    return length < MIN_LENGTH || length > MAX_LENGTH ? -1 : 0;
  }
  const length = bytes.readUInt32LE(offset);
  if (length < MIN_LENGTH || length > MAX_LENGTH || !plausible(bytes, offset, length)) return -1;
  const next = offset + PREFIX + length;
  if (next > end) return 0;
  return crc32(bytes.subarray(offset + PREFIX, next)) === bytes.readUInt32LE(offset + 4) ? PREFIX + length : -1;
}

function plausible(bytes: Buffer, offset: number, length: number): boolean {
  const kind = kindAt(bytes, offset);
  const flags = bytes[offset + 9] ?? 0;
  if (
    kind < 1 ||
    (kind > FRAME_KIND.quarantined && kind !== FRAME_KIND.signature) ||
    flags > (PAYLOAD_OMITTED | HAS_ORIGIN)
  )
    return false;
  const withOrigin = (flags & HAS_ORIGIN) === 0 ? 0 : 1;
  return bytes.readUInt32LE(offset + 22) + withOrigin <= length - MIN_LENGTH;
}

export const kindAt = (bytes: Buffer, offset: number): number => bytes[offset + 8] ?? 0;
export const numberAt = (bytes: Buffer, offset: number): number =>
  bytes.readUInt16LE(offset + 14) * HIGH + bytes.readUInt32LE(offset + 10);
export const refAt = (bytes: Buffer, offset: number): number =>
  bytes.readUInt16LE(offset + 20) * HIGH + bytes.readUInt32LE(offset + 16);
/** Bytes of the payload of the frame of `length` bytes there. */
export const payloadBytesAt = (bytes: Buffer, offset: number, length: number): number =>
  length - FRAME_OVERHEAD - originBytesAt(bytes, offset) - bytes.readUInt32LE(offset + 22);
const originBytesAt = (bytes: Buffer, offset: number): number =>
  ((bytes[offset + 9] ?? 0) & HAS_ORIGIN) === 0 ? 0 : 1 + (bytes[offset + FRAME_OVERHEAD] ?? 0);

/** "" where the frame answers nothing of another producer. */
export function originAt(bytes: Buffer, offset: number): string {
  const length = originBytesAt(bytes, offset);
  return length < 2 ? "" : bytes.toString("latin1", offset + FRAME_OVERHEAD + 1, offset + FRAME_OVERHEAD + length);
}

/** A view of the frame of `length` bytes that frameAt() found; undefined where its inner lengths contradict each other. */
export function frameOf(bytes: Buffer, offset: number, length: number): Frame | undefined {
  const headerStart = offset + FRAME_OVERHEAD + originBytesAt(bytes, offset);
  const headerEnd = headerStart + bytes.readUInt32LE(offset + 22);
  if (headerEnd > offset + length) return undefined;
  return {
    kind: kindAt(bytes, offset),
    number: numberAt(bytes, offset),
    ref: refAt(bytes, offset),
    origin: originAt(bytes, offset),
    header: bytes.subarray(headerStart, headerEnd),
    payload: bytes.subarray(headerEnd, offset + length),
    payloadOmitted: ((bytes[offset + 9] ?? 0) & PAYLOAD_OMITTED) !== 0,
  };
}
