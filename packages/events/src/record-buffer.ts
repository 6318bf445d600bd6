import type { WeirError } from "@weir/kernel";
import { FRAME_OVERHEAD, renumberFrame, writeFrame } from "./frame.ts";

/** Called once: with the record's number when it is written, or with why it is not (then the number means nothing). */
export type Recorded = (error: WeirError | undefined, number: number) => void;

const FIRST_BYTES = 256 << 10;
const KEPT_BYTES = 4 << 20;

/** Frames with consecutive numbers that are written together, and who waits for each. */
export class RecordBuffer {
  bytes: Buffer = Buffer.allocUnsafe(FIRST_BYTES);
  length = 0;
  /** Of the first frame. */
  firstNumber = 0;
  // Side by side instead of an object per record: they are made and dropped for every request.
  readonly #ends: number[] = [];
  readonly #waiting: (Recorded | undefined)[] = [];
  readonly #kept: boolean[] = [];

  get count(): number {
    return this.#ends.length;
  }

  /** @param kept it must be written even when writing fails for a while; others are refused then */
  add(
    kind: number,
    flags: number,
    number: number,
    ref: number,
    header: Uint8Array,
    payload: Uint8Array,
    origin: Uint8Array | undefined,
    kept: boolean,
    recorded: Recorded | undefined,
  ): void {
    const size = FRAME_OVERHEAD + header.length + payload.length + (origin === undefined ? 0 : 1 + origin.length);
    this.#makeRoom(size);
    if (this.#ends.length === 0) this.firstNumber = number;
    this.length = writeFrame(this.bytes, this.length, kind, flags, number, ref, header, payload, origin);
    this.#ends.push(this.length);
    this.#waiting.push(recorded);
    this.#kept.push(kept);
  }

  /** All of it is written. */
  settle(): void {
    const { firstNumber } = this;
    const waiting = this.#waiting;
    for (let index = 0; index < waiting.length; index += 1) waiting[index]?.(undefined, firstNumber + index);
    this.clear();
  }

  clear(): void {
    this.length = 0;
    this.#ends.length = 0;
    this.#waiting.length = 0;
    this.#kept.length = 0;
    // One large payload must not keep its memory for good.
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafe(FIRST_BYTES);
  }

  /** How many frames, and how many of their bytes, lie wholly within the first `bytes`. */
  wholeWithin(bytes: number): { count: number; length: number } {
    let count = 0;
    while (count < this.#ends.length && (this.#ends[count] ?? 0) <= bytes) count += 1;
    return { count, length: this.#ends[count - 1] ?? 0 };
  }

  /**
   * Moves the frames from `index` on to `target`, which is empty, and drops those that need not be kept; the numbers of the others close up.
   * Nobody has seen them yet: neither the callers nor a reader of the file.
   * @returns who waited for those that were dropped
   */
  moveKept(index: number, target: RecordBuffer): Recorded[] {
    const dropped: Recorded[] = [];
    const start = this.#ends[index - 1] ?? 0;
    target.firstNumber = this.firstNumber + index;
    let from = start;
    for (let at = index; at < this.#ends.length; at += 1) {
      const end = this.#ends[at] ?? from;
      const recorded = this.#waiting[at];
      if (this.#kept[at] === true) target.#takeFrame(this.bytes, from, end, recorded);
      else if (recorded !== undefined) dropped.push(recorded);
      from = end;
    }
    this.length = start;
    this.#ends.length = index;
    this.#waiting.length = index;
    this.#kept.length = index;
    return dropped;
  }

  /** Tells those that wait that it failed; the frames stay. `all`: also those that are kept. @returns how many that were not kept */
  refuse(error: WeirError, all: boolean): number {
    let refused = 0;
    for (let index = 0; index < this.#waiting.length; index += 1) {
      const kept = this.#kept[index] === true;
      if (!kept) refused += 1;
      const recorded = this.#waiting[index];
      if (recorded === undefined || (kept && !all)) continue;
      this.#waiting[index] = undefined;
      recorded(error, 0);
    }
    return refused;
  }

  #takeFrame(source: Buffer, from: number, end: number, recorded: Recorded | undefined): void {
    this.#makeRoom(end - from);
    const start = this.length;
    source.copy(this.bytes, start, from, end);
    this.length = start + end - from;
    renumberFrame(this.bytes, start, this.length, this.firstNumber + this.#ends.length);
    this.#ends.push(this.length);
    this.#waiting.push(recorded);
    this.#kept.push(true);
  }

  #makeRoom(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, needed));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}
