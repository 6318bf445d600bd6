import { HASH_BYTES, type Sha256 } from "./sha256.ts";

/** How far an epoch's records had come when a head was made. */
export interface EpochMark {
  readonly producer: string;
  /** Every number from 1 to this one was accounted for. */
  readonly contiguous: number;
  /** It had ended in order. */
  readonly closed: boolean;
}

/** What the log was at one moment. */
export interface TreeHead {
  /** Of this log and no other: 16 bytes. */
  readonly logId: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  readonly atMs: number;
  /** SHA-256 of the canonical bytes of the head before it; zeros for the first. */
  readonly previous: Uint8Array;
  /** Of epochs that moved since the head before; sorted by producer. */
  readonly epochs: readonly EpochMark[];
}

/** A head as it is published. */
export interface SignedHead {
  /** Its canonical bytes. */
  readonly head: Uint8Array;
  /** The first 8 bytes of the SHA-256 of the public key. */
  readonly keyId: Uint8Array;
  /** Ed25519 (RFC 8032) over the canonical bytes. */
  readonly signature: Uint8Array;
}

const LABEL = new TextEncoder().encode("weir tree head 1");
export const LOG_ID_BYTES = 16;
const FIXED = LABEL.length + LOG_ID_BYTES + 8 + 8 + HASH_BYTES + HASH_BYTES + 4;
const MAX_NAME_BYTES = 0xffff;
export const FIRST_PREVIOUS: Uint8Array = new Uint8Array(HASH_BYTES);

/**
 * The bytes that are signed, integers big-endian:
 *
 *     "weir tree head 1" | log id (16) | i64 size | i64 milliseconds since 1970 | root (32) | previous (32)
 *     | u32 count, then per epoch: u16 length, producer in UTF-8 | i64 contiguous | u8 1 if closed
 *
 * @throws RangeError where a field does not fit
 */
export function canonicalHead(head: TreeHead): Uint8Array {
  if (head.logId.length !== LOG_ID_BYTES) throw new RangeError("a log's id has 16 bytes");
  if (head.root.length !== HASH_BYTES || head.previous.length !== HASH_BYTES) {
    throw new RangeError("a hash has 32 bytes");
  }
  const encoder = new TextEncoder();
  const names = head.epochs.map(({ producer }) => encoder.encode(producer));
  if (names.some((name) => name.length > MAX_NAME_BYTES)) throw new RangeError("a producer's name is too long");
  const bytes = new Uint8Array(names.reduce((size, name) => size + 2 + name.length + 9, FIXED));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const put = (part: Uint8Array): void => {
    bytes.set(part, at);
    at += part.length;
  };
  const putNumber = (value: number): void => {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("a head's numbers are safe integers from 0");
    view.setBigInt64(at, BigInt(value));
    at += 8;
  };
  put(LABEL);
  put(head.logId);
  putNumber(head.size);
  putNumber(head.atMs);
  put(head.root);
  put(head.previous);
  view.setUint32(at, names.length);
  at += 4;
  for (const [place, { contiguous, closed }] of head.epochs.entries()) {
    const name = names[place] as Uint8Array;
    view.setUint16(at, name.length);
    at += 2;
    put(name);
    putNumber(contiguous);
    view.setUint8(at++, closed ? 1 : 0);
  }
  return bytes;
}

/** @returns undefined for bytes that are no head, or not in canonical form */
export function parseHead(bytes: Uint8Array): TreeHead | undefined {
  if (bytes.length < FIXED || !LABEL.every((byte, at) => byte === bytes[at])) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let at = LABEL.length;
  const take = (length: number): Uint8Array => bytes.slice(at, (at += length));
  const takeNumber = (): number => Number(view.getBigInt64((at += 8) - 8));
  try {
    const logId = take(LOG_ID_BYTES);
    const [size, atMs] = [takeNumber(), takeNumber()];
    const [root, previous] = [take(HASH_BYTES), take(HASH_BYTES)];
    const count = view.getUint32((at += 4) - 4);
    const epochs: EpochMark[] = [];
    for (let n = 0; n < count; n++) {
      const producer = decoder.decode(take(view.getUint16((at += 2) - 2)));
      const contiguous = takeNumber();
      epochs.push({ producer, contiguous, closed: view.getUint8(at++) === 1 });
    }
    const head: TreeHead = { logId, size, atMs, root, previous, epochs };
    const again = canonicalHead(head);
    return again.length === bytes.length && again.every((byte, place) => byte === bytes[place]) ? head : undefined;
  } catch {
    // Reads past the end, names that are no UTF-8, numbers that no head has.
    return undefined;
  }
}

/** The name of a signing key: the first 8 bytes of the SHA-256 of its public half (32 bytes, raw). */
export const signingKeyId = (sha256: Sha256, publicKey: Uint8Array): Uint8Array => sha256(publicKey).subarray(0, 8);

const KEY_LABEL = new TextEncoder().encode("weir signing key 1");

/** What a key signs to make another its successor: "weir signing key 1" | log id | the new public key (32 bytes). */
export function endorsementBytes(logId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(KEY_LABEL.length + logId.length + publicKey.length);
  bytes.set(KEY_LABEL);
  bytes.set(logId, KEY_LABEL.length);
  bytes.set(publicKey, KEY_LABEL.length + logId.length);
  return bytes;
}
