import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Batch } from "./bus.ts";
import {
  type EpochMeta,
  type EpochPlace,
  isRecovered,
  readCarry,
  readMeta,
  readSettled,
  resolvedBy,
  writeCarry,
} from "./epoch-directory.ts";
import { EpochReader, type ReadSegment, type Seen } from "./epoch-reader.ts";
import { FRAME_KIND, MAX_FRAME_BYTES, numberAt, originAt, payloadBytesAt, refAt } from "./frame.ts";
import { encodeFrames, findFrame, quarantined } from "./frames.ts";

/** An intent that has no outcome yet, and where its frame is: in a segment, or kept here because the segment is deleted. */
interface OpenIntent {
  readonly seenMs: number;
  readonly at: { readonly segment: ReadSegment; readonly position: number; readonly length: number } | undefined;
  readonly carried: Buffer | undefined;
}

/** Of bytes that are no frame, so much is kept: it has to fit one. */
const MAX_EVIDENCE_BYTES = MAX_FRAME_BYTES >> 1;

export interface BatchLimits {
  readonly frames: number;
  readonly bytes: number;
}

/**
 * One epoch on its way to the bus. An intent is not sent when its outcome is there, too: the outcome carries it, and its ref accounts for its
 * number. Where the intent has a payload, or its outcome takes its time, it is sent by itself.
 */
export class EpochTail {
  readonly place: EpochPlace;
  readonly meta: EpochMeta;
  /** As last heard from the log; undefined: never. */
  confirmed: number | undefined;
  #reader: EpochReader;
  /** Oldest first. */
  readonly #open = new Map<number, OpenIntent>();
  /** Those of them that were not sent. */
  readonly #unsent = new Map<number, OpenIntent>();
  /** What `carry` on disk holds no longer as it should. */
  #carryChanged = false;
  /** Numbers up to this one are in the log already, from an earlier run. */
  #skipTo = 0;
  #begun = false;
  #lastPublished = 0;
  /** When the log last heard something new, or had to hear something for the first time. */
  #stuckSinceMs: number | undefined;
  #resends = 0;

  constructor(place: EpochPlace) {
    this.place = place;
    this.meta = readMeta(place);
    this.#reader = new EpochReader(place);
    this.#readCarry();
  }

  get lastNumber(): number {
    return this.#reader.lastNumber;
  }

  /** Numbers that the bus has and the log does not confirm. */
  get unconfirmed(): number {
    return Math.max(0, this.#lastPublished - (this.confirmed ?? 0));
  }

  /** Nothing is left on disk, and nothing more will come. */
  get finished(): boolean {
    return this.#reader.ended && this.#reader.segments.length === 0;
  }

  refresh(): void {
    this.#reader.refresh();
  }

  unreadBytes(): number {
    return this.#reader.unreadBytes();
  }

  /** Intents that were seen and wait for their outcomes. */
  get waiting(): number {
    return this.#unsent.size;
  }

  /** What is to be sent next; undefined: nothing for now. */
  next(nowMs: number, openAfterMs: number, limits: BatchLimits): { batch: Batch; frames: number } | undefined {
    this.#begun = true;
    const out = new Outgoing(limits);
    this.#addOverdue(out, nowMs, openAfterMs);
    this.#reader.read((seen) => this.#take(seen, out, nowMs));
    // Behind the end of an epoch no outcome will come.
    if (this.#reader.ended) this.#addOverdue(out, nowMs, 0);
    return out.frames === 0 ? undefined : { batch: out.batch(this.place.producer), frames: out.frames };
  }

  published(last: number, nowMs: number): void {
    this.#lastPublished = Math.max(this.#lastPublished, last);
    if (this.unconfirmed > 0) this.#stuckSinceMs ??= nowMs;
  }

  /** What the log has of it. @returns whether it has to be sent again from there on: see `again` */
  confirm(contiguous: number, nowMs: number, resendAfterMs: number): boolean {
    if (!this.#begun) this.#skipTo = contiguous;
    if (contiguous > (this.confirmed ?? -1)) {
      this.confirmed = contiguous;
      this.#resends = 0;
      this.#stuckSinceMs = this.unconfirmed > 0 ? nowMs : undefined;
      return false;
    }
    if (this.unconfirmed === 0 || this.#stuckSinceMs === undefined) return false;
    // A log that is stuck for long is not helped by more copies: they come ever more rarely.
    return nowMs - this.#stuckSinceMs >= resendAfterMs * 2 ** Math.min(this.#resends, 4);
  }

  /** Begins once more behind what is confirmed, as a relay that has just been started would. */
  again(nowMs: number): void {
    this.#resends += 1;
    this.#stuckSinceMs = nowMs;
    this.#reader.close();
    this.#reader = new EpochReader(this.place);
    this.#open.clear();
    this.#unsent.clear();
    this.#readCarry();
    this.#skipTo = this.confirmed ?? 0;
  }

  /** Deletes the segments that nobody needs any more. @param isDone whether an epoch of this producer has nothing to recover any more */
  forget(isDone: (producer: string) => boolean): void {
    const recovered = isRecovered(this.place);
    const settled = this.meta.settlements && !recovered ? readSettled(this.place) : Number.POSITIVE_INFINITY;
    const { segments, sealed } = this.#reader;
    let count = 0;
    for (const [index, segment] of segments.entries()) {
      // The last one of an epoch that may be recovered yet tells its last number.
      if (!segment.done || (sealed === undefined && index === segments.length - 1)) break;
      if (segment.lastNumber > (this.confirmed ?? 0) || segment.lastOutcome > settled) break;
      count += 1;
    }
    if (count === 0 || !resolvedBy(this.place).every(isDone)) return;
    this.#carry(new Set(segments.slice(0, count)), recovered);
    for (const { name } of segments.slice(0, count)) rmSync(join(this.place.path, name), { force: true });
    this.#reader.forget(count);
  }

  close(): void {
    this.#reader.close();
  }

  /** @returns false when it does not fit any more */
  #take(seen: Seen, out: Outgoing, nowMs: number): boolean {
    const { bytes, offset, length, kind, number, segment, position } = seen;
    if (!out.fits(length)) return false;
    const skipped = number <= this.#skipTo && kind !== FRAME_KIND.quarantined;
    if (kind === FRAME_KIND.intent) {
      const open = { seenMs: nowMs, at: { segment, position, length }, carried: undefined };
      this.#open.set(number, open);
      if (skipped) return true;
      if (payloadBytesAt(bytes, offset, length) > 0) out.add(bytes, offset, length, number);
      else this.#unsent.set(number, open);
      return true;
    }
    if (kind === FRAME_KIND.outcome && originAt(bytes, offset) === "") {
      const ref = refAt(bytes, offset);
      if (this.#open.get(ref)?.carried !== undefined) this.#carryChanged = true;
      this.#open.delete(ref);
      this.#unsent.delete(ref);
      segment.lastOutcome = number;
    }
    if (skipped) return true;
    if (kind === FRAME_KIND.quarantined) {
      const kept = encodeFrames([
        quarantined(bytes.subarray(offset, offset + Math.min(length, MAX_EVIDENCE_BYTES)), number, seen.lastMissing),
      ]);
      out.add(kept, 0, kept.length, seen.lastMissing);
    } else {
      out.add(bytes, offset, length, number);
    }
    return true;
  }

  #addOverdue(out: Outgoing, nowMs: number, openAfterMs: number): void {
    for (const [number, open] of this.#unsent) {
      if (nowMs - open.seenMs < openAfterMs) return;
      const bytes = this.#bytesOf(open);
      if (!out.fits(bytes.length)) return;
      out.add(bytes, 0, bytes.length, number);
      this.#unsent.delete(number);
    }
  }

  #bytesOf({ at, carried }: OpenIntent): Buffer {
    if (at === undefined) return carried ?? Buffer.alloc(0);
    return this.#reader.bytesAt(at.segment, at.position, at.length);
  }

  /** Keeps the open intents of segments that are about to go, for whoever recovers the epoch. */
  #carry(leaving: ReadonlySet<ReadSegment>, recovered: boolean): void {
    for (const [number, open] of this.#open) {
      if (open.at === undefined || !leaving.has(open.at.segment)) continue;
      const moved = { seenMs: open.seenMs, at: undefined, carried: this.#bytesOf(open) };
      this.#open.set(number, moved);
      if (this.#unsent.has(number)) this.#unsent.set(number, moved);
      this.#carryChanged = true;
    }
    if (!this.#carryChanged || recovered) return;
    writeCarry(this.place, Buffer.concat([...this.#open.values()].flatMap(({ carried }) => carried ?? [])));
    this.#carryChanged = false;
  }

  /** What is carried was confirmed when its segment went. */
  #readCarry(): void {
    const bytes = readCarry(this.place);
    for (let offset = 0; offset < bytes.length; ) {
      const { what, length } = findFrame(bytes, offset, bytes.length, true);
      const carried = Buffer.from(bytes.subarray(offset, offset + length));
      if (what === "frame") this.#open.set(numberAt(bytes, offset), { seenMs: 0, at: undefined, carried });
      offset += length;
    }
  }
}

// Filled and copied synchronously, as the reader's chunk is: one for all. It holds what is within the limits, or one frame.
const SPACE = Buffer.allocUnsafeSlow(1 << 20);

/** A batch that is being filled. */
class Outgoing {
  readonly #limits: BatchLimits;
  #bytes = 0;
  #first = Number.POSITIVE_INFINITY;
  #last = 0;
  frames = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** The first one always does. */
  fits(bytes: number): boolean {
    return this.frames === 0 || (this.frames < this.#limits.frames && this.#bytes + bytes <= this.#limits.bytes);
  }

  add(bytes: Buffer, offset: number, length: number, number: number): void {
    bytes.copy(SPACE, this.#bytes, offset, offset + length);
    this.#bytes += length;
    this.frames += 1;
    this.#first = Math.min(this.#first, number);
    this.#last = Math.max(this.#last, number);
  }

  batch(producer: string): Batch {
    const data = Buffer.from(SPACE.subarray(0, this.#bytes));
    return { producer, first: this.#first, last: this.#last, data };
  }
}
