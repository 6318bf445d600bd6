/** Whether records were written by their producers, or put in by somebody who owns the log's tables. */
import { sameBytes } from "./proof.ts";
import { Ranges } from "./ranges.ts";
import { rangesOfRuns } from "./runs.ts";
import { HASH_BYTES } from "./sha256.ts";

/** Ed25519 (RFC 8032) as the platform has it; `publicKey` raw, 32 bytes. MUST NOT throw for bytes that are no key or signature. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

const LABEL = new TextEncoder().encode("weir batch 1");

/**
 * What a producer signs of its records, integers big-endian:
 *
 *     "weir batch 1" | u16 length, producer in UTF-8 | u32 count, then per record: i64 number | leaf hash (32)
 *
 * @param leafHashes of each number 32 bytes
 * @throws RangeError where they are not as many, or the name does not fit
 */
export function batchBytes(producer: string, numbers: readonly number[], leafHashes: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(producer);
  if (name.length > 0xffff) throw new RangeError("a producer's name is too long");
  if (leafHashes.length !== numbers.length * HASH_BYTES) throw new RangeError("a leaf hash has 32 bytes");
  const bytes = new Uint8Array(LABEL.length + 2 + name.length + 4 + numbers.length * (8 + HASH_BYTES));
  const view = new DataView(bytes.buffer);
  bytes.set(LABEL);
  let at = LABEL.length;
  view.setUint16(at, name.length);
  bytes.set(name, at + 2);
  at += 2 + name.length;
  view.setUint32(at, numbers.length);
  at += 4;
  for (const [place, number] of numbers.entries()) {
    view.setBigInt64(at, BigInt(number));
    bytes.set(leafHashes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES), at + 8);
    at += 8 + HASH_BYTES;
  }
  return bytes;
}

export interface BatchSignature {
  readonly runs: readonly bigint[];
  readonly leafHashes: Uint8Array;
  readonly signature: Uint8Array;
}

export type SignatureProblem =
  /** Nobody but who owns the log's tables says that its producer wrote these. */
  | { readonly kind: "unsigned-record"; readonly producer: string; readonly first: number; readonly last: number }
  /** Its producer signed another record under this number. */
  | { readonly kind: "signed-otherwise"; readonly index: number; readonly producer: string; readonly number: number }
  | { readonly kind: "bad-signature"; readonly index: number; readonly producer: string; readonly why: string }
  | { readonly kind: "producer-key"; readonly index: number; readonly producer: string; readonly why: string };

/** The kinds of records that producers write: intent to epoch-close, and epoch-open. */
const FIRST_KIND = 1;
const LAST_KIND = 6;

interface Producer {
  /** Undefined: its epoch-open was not seen. Empty: it signs nothing. */
  key: Uint8Array | undefined;
  /** Leaves that no signature covers yet. */
  readonly waiting: Map<number, { readonly index: number; readonly hash: Uint8Array }>;
  /** Signatures that came before the key. */
  readonly unread: { readonly index: number; readonly of: BatchSignature }[];
}

/**
 * Every epoch names in its epoch-open the key that signs its records. Epochs of one line ("instance.worker") are of one key: who owns the tables
 * can invent an epoch, but not its key. A record is always logged before the signature over it, so memory grows with what is not signed only.
 */
export class ProducerSignatures {
  readonly #verify: VerifySignature;
  readonly #trusted: readonly Uint8Array[];
  readonly #report: (problem: SignatureProblem) => void;
  readonly #producers = new Map<string, Producer>();
  readonly #lines = new Map<string, Uint8Array>();
  readonly #unsigned = new Set<string>();

  /** @param trusted keys of producers, raw; none: the first of each line is believed, and any other of that line is not */
  constructor(verify: VerifySignature, trusted: readonly Uint8Array[], report: (problem: SignatureProblem) => void) {
    this.#verify = verify;
    this.#trusted = trusted;
    this.#report = report;
  }

  /** @param publicKey empty: it signs nothing */
  open(index: number, name: string, publicKey: Uint8Array): void {
    const producer = this.#producer(name);
    if (producer.key !== undefined) return;
    const line = lineOf(name);
    const before = this.#lines.get(line);
    const problem = (why: string): void => this.#report({ kind: "producer-key", index, producer: name, why });
    producer.key = publicKey;
    if (publicKey.length === 0) {
      this.#unsigned.add(name);
      producer.waiting.clear();
      if (before !== undefined) problem("it signs nothing, and an epoch before it did");
      return;
    }
    if (this.#trusted.length > 0) {
      if (!this.#trusted.some((key) => sameBytes(key, publicKey))) problem("its key is none of those that were given");
    } else if (before !== undefined && !sameBytes(before, publicKey)) {
      problem("its key is another one than that of the epochs before it");
    }
    this.#lines.set(line, publicKey);
    for (const { index: at, of } of producer.unread.splice(0)) this.#check(at, name, producer, of);
  }

  leaf(leaf: {
    readonly index: number;
    readonly producer: string;
    readonly number: number;
    readonly kind: number;
    readonly hash: Uint8Array;
  }): void {
    const { index, number, kind, hash } = leaf;
    if (kind < FIRST_KIND || kind > LAST_KIND || number < 1) return;
    const producer = this.#producer(leaf.producer);
    if (producer.key?.length !== 0) producer.waiting.set(number, { index, hash });
  }

  signature(index: number, name: string, of: BatchSignature): void {
    const producer = this.#producer(name);
    if (producer.key === undefined) producer.unread.push({ index, of });
    else this.#check(index, name, producer, of);
  }

  /** Tells of what is not signed. @returns the key of each line, and the epochs that sign nothing */
  finish(): { readonly lines: ReadonlyMap<string, Uint8Array>; readonly unsigned: readonly string[] } {
    for (const [name, { key, waiting, unread }] of this.#producers) {
      // A log of before there were signatures has none.
      if (key === undefined && this.#lines.size === 0) continue;
      for (const { index } of unread) {
        this.#report({ kind: "bad-signature", index, producer: name, why: "its epoch names no key" });
      }
      const numbers = new Ranges();
      for (const number of [...waiting.keys()].sort((a, b) => a - b)) numbers.add(number);
      for (const range of numbers.sorted()) this.#report({ kind: "unsigned-record", producer: name, ...range });
    }
    return { lines: this.#lines, unsigned: [...this.#unsigned] };
  }

  #check(index: number, name: string, producer: Producer, { runs, leafHashes, signature }: BatchSignature): void {
    const bad = (why: string): void => this.#report({ kind: "bad-signature", index, producer: name, why });
    let numbers: number[];
    let message: Uint8Array;
    try {
      numbers = numbersOf(runs, leafHashes.length / HASH_BYTES);
      message = batchBytes(name, numbers, leafHashes);
    } catch (error) {
      return bad(error instanceof Error ? error.message : String(error));
    }
    const first = numbers[0] ?? 0;
    const last = numbers.at(-1) ?? 0;
    if (!this.#verify(producer.key ?? new Uint8Array(0), message, signature)) {
      return bad(`it is not ${name}'s, for #${first} to #${last}`);
    }
    for (const [place, number] of numbers.entries()) {
      const hash = leafHashes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES);
      const leaf = producer.waiting.get(number);
      // What is not waiting is signed already: a batch was sent once more.
      if (leaf === undefined) continue;
      producer.waiting.delete(number);
      if (!sameBytes(hash, leaf.hash)) {
        this.#report({ kind: "signed-otherwise", index: leaf.index, producer: name, number });
      }
    }
  }

  #producer(name: string): Producer {
    let producer = this.#producers.get(name);
    if (producer === undefined) {
      producer = { key: undefined, waiting: new Map(), unread: [] };
      this.#producers.set(name, producer);
    }
    return producer;
  }
}

/** Bounded by what is there, whatever the runs claim. */
function numbersOf(runs: readonly bigint[], count: number): number[] {
  const ranges = rangesOfRuns(runs);
  const total = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (total !== count) throw new RangeError("it has another number of leaf hashes than of numbers");
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
}

const lineOf = (producer: string): string => producer.slice(0, Math.max(0, producer.lastIndexOf(".")));
