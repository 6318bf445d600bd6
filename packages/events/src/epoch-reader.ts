import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { type EpochPlace, isThere, listSegments, readSealed, segmentName } from "./epoch-directory.ts";
import { FRAME_KIND, kindAt, MAX_FRAME_BYTES, numberAt } from "./frame.ts";
import { findFrame } from "./frames.ts";
import { isSystemError } from "./system-error.ts";

/** A segment as far as it was read. */
export interface ReadSegment {
  readonly name: string;
  readonly first: number;
  /** The highest number in it; 0: none. */
  lastNumber: number;
  /** The highest number of an outcome of the epoch's own intents; 0: none. */
  lastOutcome: number;
  /** Nothing will be written to it any more, and all of it was read. */
  done: boolean;
}

/** Something found: a frame, or (`kind` quarantined) bytes that are none. */
export interface Seen {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly length: number;
  readonly kind: number;
  /** Of damage: the first number that is missing there, 0 if not known; `lastMissing` then is the last one. */
  readonly number: number;
  readonly lastMissing: number;
  readonly segment: ReadSegment;
  /** Of its first byte, in the segment. */
  readonly position: number;
}

const CHUNK = 1 << 20;
if (CHUNK < MAX_FRAME_BYTES) throw new Error("a chunk must hold a frame");
// All reading is synchronous, so that all readers of a thread can share it.
const chunk = Buffer.allocUnsafeSlow(CHUNK);

/**
 * Reads an epoch's frames in their order, from files that are being written: what ends in the middle of a frame may go on later, unless the
 * writer has begun the next segment or has sealed the epoch.
 */
export class EpochReader {
  readonly place: EpochPlace;
  /** Oldest first. */
  readonly segments: ReadSegment[] = [];
  /** Known once nobody writes the epoch any more. */
  sealed: number | undefined;
  /** The highest number read; at first the one before the oldest that is still there. */
  lastNumber: number;
  /** All that there will ever be was read. */
  ended = false;
  #at = 0;
  #position = 0;
  #fd: number | undefined;

  constructor(place: EpochPlace) {
    this.place = place;
    this.refresh();
    this.lastNumber = (this.segments[0]?.first ?? 1) - 1;
  }

  /** Looks for new segments and for the seal. */
  refresh(): void {
    this.sealed ??= readSealed(this.place);
    const known = new Set(this.segments.map(({ name }) => name));
    for (const { name, first } of listSegments(this.place.path)) {
      if (!known.has(name)) this.segments.push({ name, first, lastNumber: 0, lastOutcome: 0, done: false });
    }
  }

  /** Bytes that were not read yet. */
  unreadBytes(): number {
    let bytes = 0;
    for (let at = this.#at; at < this.segments.length; at += 1) {
      const name = this.segments[at]?.name ?? "";
      const size = statSync(join(this.place.path, name), { throwIfNoEntry: false })?.size ?? 0;
      bytes += Math.max(0, size - (at === this.#at ? this.#position : 0));
    }
    return bytes;
  }

  /** Calls `visit` for all that is there; where it returns false, that is seen again the next time. What it gets is valid for the call. */
  read(visit: (seen: Seen) => boolean): void {
    for (;;) {
      const segment = this.segments[this.#at];
      if (segment === undefined) {
        this.ended = this.sealed !== undefined;
        return;
      }
      // Asked before reading: whoever began the next segment had written all of this one.
      const final = this.#isLeft(segment);
      const before = this.#position;
      const end = this.#readChunk(segment);
      if (!this.#walk(segment, end, final, visit)) return;
      if (this.#position > before) continue;
      if (!final) return;
      segment.done = true;
      this.close();
      this.#at += 1;
      this.#position = 0;
    }
  }

  /** Reads bytes again that were seen. */
  bytesAt(segment: ReadSegment, position: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    const fd = openSync(join(this.place.path, segment.name), "r");
    try {
      for (let got = 0; got < length; ) {
        const more = readSync(fd, bytes, got, length - got, position + got);
        if (more === 0) throw new Error(`${segment.name} of ${this.place.producer} has become shorter`);
        got += more;
      }
    } finally {
      closeSync(fd);
    }
    return bytes;
  }

  /** The oldest segments were deleted. */
  forget(count: number): void {
    this.segments.splice(0, count);
    this.#at -= count;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #isLeft(segment: ReadSegment): boolean {
    if (this.sealed !== undefined || this.#at + 1 < this.segments.length) return true;
    // The usual name of the next one; an unusual one is found by refresh().
    const next = Math.max(segment.first, this.lastNumber + 1);
    if (next === segment.first || !isThere(join(this.place.path, segmentName(next, 0)))) return false;
    this.refresh();
    return this.#at + 1 < this.segments.length;
  }

  #readChunk(segment: ReadSegment): number {
    try {
      this.#fd ??= openSync(join(this.place.path, segment.name), "r");
    } catch (error) {
      // Somebody has deleted it: its numbers are missing when the next segment is read, and are told then.
      if (isSystemError(error, "ENOENT")) return 0;
      throw error;
    }
    return readSync(this.#fd, chunk, 0, CHUNK, this.#position);
  }

  /** @returns false when `visit` wants no more */
  #walk(segment: ReadSegment, end: number, final: boolean, visit: (seen: Seen) => boolean): boolean {
    const start = this.#position;
    // A chunk without a single whole frame is damage, even where more may come.
    const noMore = final && start + end >= this.#size();
    for (let offset = 0; offset < end; ) {
      const { what, length } = findFrame(chunk, offset, end, noMore || (offset === 0 && end === CHUNK));
      if (what === "incomplete") return true;
      const position = start + offset;
      if (what === "frame") {
        const number = numberAt(chunk, offset);
        // At or under it: written twice, after a sync that failed.
        if (number > this.lastNumber) {
          if (number > this.lastNumber + 1 && !this.#visitDamage(segment, offset, 0, number, visit)) return false;
          const kind = kindAt(chunk, offset);
          if (!visit({ bytes: chunk, offset, length, kind, number, lastMissing: 0, segment, position })) return false;
          this.lastNumber = number;
          segment.lastNumber = number;
        }
      } else {
        const last = offset + length === end;
        const next = !last ? numberAt(chunk, offset + length) : noMore ? this.#numberAfter() : undefined;
        if (!this.#visitDamage(segment, offset, length, next, visit)) return false;
      }
      offset += length;
      this.#position = start + offset;
    }
    return true;
  }

  /**
   * Bytes that are no frame, or (length 0) numbers of which nothing is left at all: both are told, so that the log knows what it will never get.
   * @param next the number that comes behind them, where it is known
   */
  #visitDamage(
    segment: ReadSegment,
    offset: number,
    length: number,
    next: number | undefined,
    visit: (seen: Seen) => boolean,
  ): boolean {
    // Nothing is missing: it is what a failed write left behind.
    if (next !== undefined && next <= this.lastNumber + 1) return true;
    const number = next === undefined ? 0 : this.lastNumber + 1;
    const lastMissing = next === undefined ? 0 : next - 1;
    const position = this.#position;
    const kind = FRAME_KIND.quarantined;
    if (!visit({ bytes: chunk, offset, length, kind, number, lastMissing, segment, position })) return false;
    this.lastNumber = Math.max(this.lastNumber, lastMissing);
    segment.lastNumber = Math.max(segment.lastNumber, lastMissing);
    return true;
  }

  /** The number that the next segment begins with, or that comes behind the last one. */
  #numberAfter(): number | undefined {
    const next = this.segments[this.#at + 1];
    if (next !== undefined) return next.first;
    return this.sealed === undefined ? undefined : this.sealed + 1;
  }

  #size(): number {
    return this.#fd === undefined ? 0 : fstatSync(this.#fd).size;
  }
}
