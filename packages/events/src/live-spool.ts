import { WeirError } from "@weir/kernel";
import { type EpochPlace, writeRecovered, writeResolves, writeSealed, writeSettled } from "./epoch-directory.ts";
import { FRAME_KIND, FRAME_OVERHEAD, HAS_ORIGIN, MAX_FRAME_BYTES, PAYLOAD_OMITTED } from "./frame.ts";
import type { Lock } from "./lock.ts";
import type { ClaimedEpoch, DeadEpoch } from "./recovery.ts";
import type { SegmentFiles } from "./segment-files.ts";
import { SegmentWriter } from "./segment-writer.ts";
import type { Spool } from "./spool.ts";
import { SpoolSpace } from "./spool-space.ts";
import { WriteLoop } from "./write-loop.ts";

export interface LiveSpoolOptions {
  readonly place: EpochPlace;
  readonly lock: Lock;
  readonly claimed: readonly ClaimedEpoch[];
  /** Folders of other epochs whose segments count against `maxBytes`. */
  readonly counted: readonly string[];
  readonly files: SegmentFiles;
  readonly maxBytes: number;
  readonly strict: boolean;
  readonly settlements: boolean;
  readonly monotonicMs: () => number;
  readonly mark: () => Uint8Array;
  readonly epochClose: () => Uint8Array;
  readonly segmentBytes: number;
  readonly segmentMs: number;
  readonly probeMs: number;
  readonly outcomeWaitMs: number;
}

const NOTHING = new Uint8Array(0);
const MAX_HEADER_BYTES = MAX_FRAME_BYTES >> 1;
const RETRY_AFTER_MS = 1_000;
const RESCAN_MS = 1_000;
const RESCAN_WHEN_FULL_MS = 50;
const SETTLED_MS = 250;

/**
 * Fails closed: an intent needs room for itself and for its outcome, and a disk that works. What has room was promised it, so an outcome is
 * never refused for want of it; only its payload may be left out.
 */
export class LiveSpool implements Spool {
  readonly producer: string;
  readonly recovered: readonly DeadEpoch[];
  readonly #options: LiveSpoolOptions;
  readonly #space = new SpoolSpace();
  readonly #writer: SegmentWriter;
  readonly #loop: WriteLoop;
  /** Open intents with the bytes that are reserved for their outcomes. */
  readonly #open = new Map<number, number>();
  readonly #claimed: Map<string, ClaimedEpoch>;
  /** Intents of dead epochs whose outcome was handed in. */
  readonly #resolved = new Map<string, Set<number>>();
  readonly #timers: NodeJS.Timeout[] = [];
  #reserved = 0;
  #lastOutcome = 0;
  #settled = 0;
  #settledOnDisk = 0;
  #scannedMs = 0;
  #closing = false;

  constructor(options: LiveSpoolOptions) {
    const { place, files, strict, monotonicMs, segmentBytes, segmentMs, probeMs, outcomeWaitMs, claimed, counted } =
      options;
    this.#options = options;
    this.producer = place.producer;
    this.#claimed = new Map(claimed.map((one) => [one.epoch.producer, one]));
    this.recovered = claimed.map(({ epoch }) => epoch);
    for (const folder of counted) this.#space.addFolder(folder);
    const onClosed = (name: string, bytes: number): void => this.#space.add(place.path, name, bytes);
    const { path } = place;
    this.#writer = new SegmentWriter({ path, files, segmentBytes, segmentMs, strict, monotonicMs, onClosed });
    const onProbe = (): void => this.#mark();
    this.#loop = new WriteLoop({ writer: this.#writer, strict, probeMs, outcomeWaitMs, monotonicMs, onProbe });
  }

  async begin(epochOpen: Uint8Array, markEveryMs: number): Promise<void> {
    await this.#keep(FRAME_KIND.epochOpen, 0, epochOpen, NOTHING, undefined);
    const every = (ms: number, run: () => void): void => {
      this.#timers.push(setInterval(run, ms).unref());
    };
    every(markEveryMs, () => this.#mark());
    every(RESCAN_MS, () => this.#space.rescan());
    if (this.#options.settlements) every(SETTLED_MS, () => this.#writeSettled());
  }

  get bytes(): number {
    return this.#space.bytes + this.#writer.bytes + this.#loop.bufferedBytes + this.#reserved;
  }

  get depth(): number {
    return this.#open.size;
  }

  get failed(): WeirError | undefined {
    return this.#loop.failure;
  }

  intent(header: Uint8Array, payload: Uint8Array, reserve: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const room = reserve + FRAME_OVERHEAD;
      const fits = this.#fitting(header, payload, room);
      if (fits instanceof WeirError) return reject(fits);
      this.#reserved += room;
      const flags = fits.length === payload.length ? 0 : PAYLOAD_OMITTED;
      this.#loop.add(FRAME_KIND.intent, flags, 0, header, fits, undefined, false, (error, number) => {
        if (error !== undefined) {
          this.#reserved -= room;
          return reject(error);
        }
        this.#open.set(number, room);
        resolve(number);
      });
    });
  }

  outcome(intentNumber: number, header: Uint8Array, payload: Uint8Array, payloadOmitted = false): Promise<number> {
    const room = this.#open.get(intentNumber) ?? 0;
    const bytes = FRAME_OVERHEAD + header.length + payload.length;
    const fits = bytes <= MAX_FRAME_BYTES && (bytes <= room || this.bytes - room + bytes <= this.#options.maxBytes);
    if (this.#open.delete(intentNumber)) this.#reserved -= room;
    return this.#keep(
      FRAME_KIND.outcome,
      intentNumber,
      header,
      fits ? payload : NOTHING,
      undefined,
      payloadOmitted || (!fits && payload.length > 0),
    );
  }

  note(kind: number, header: Uint8Array, payload: Uint8Array = NOTHING): Promise<number> {
    return new Promise((resolve, reject) => {
      const fits = this.#fitting(header, payload, 0);
      if (fits instanceof WeirError) return reject(fits);
      const flags = fits.length === payload.length ? 0 : PAYLOAD_OMITTED;
      this.#loop.add(kind, flags, 0, header, fits, undefined, false, (error, number) => {
        if (error === undefined) resolve(number);
        else reject(error);
      });
    });
  }

  async resolve({ producer, number }: { producer: string; number: number }, header: Uint8Array): Promise<void> {
    if (!this.#claimed.has(producer)) throw new RangeError(`${producer} is not being recovered here`);
    const refused = this.#refusal(header);
    if (refused !== undefined) throw refused;
    let resolved = this.#resolved.get(producer);
    if (resolved === undefined) {
      // Before the first of them, so that the relay lets no segment go that has one.
      writeResolves(this.#options.place, producer);
      resolved = new Set();
      this.#resolved.set(producer, resolved);
    }
    if (resolved.has(number)) {
      // Its caller may have given it up while the disk failed. It is written when something behind it is.
      await this.#keep(FRAME_KIND.mark, 0, this.#options.mark(), NOTHING, undefined);
      return;
    }
    const written = this.#keep(FRAME_KIND.outcome, number, header, NOTHING, Buffer.from(producer, "latin1"));
    resolved.add(number);
    await written;
  }

  recoveredDone(producer: string): void {
    const claimed = this.#claimed.get(producer);
    if (claimed === undefined) return;
    writeRecovered(claimed.place);
    this.#claimed.delete(producer);
    claimed.lock.release();
  }

  settled(number: number): void {
    this.#settled = Math.max(this.#settled, number);
  }

  async close(options?: { readonly unsettled: boolean }): Promise<void> {
    if (this.#closing) return;
    const { place, settlements, epochClose, lock } = this.#options;
    const last = this.#keep(FRAME_KIND.epochClose, 0, epochClose(), NOTHING, undefined);
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    try {
      await Promise.all([last, this.#loop.end()]);
      this.#writeSettled();
      writeSealed(place, this.#loop.lastNumber);
      const open = this.#open.size > 0 || this.#loop.orphans > 0 || options?.unsettled === true;
      if (!open && (!settlements || this.#settled >= this.#lastOutcome)) writeRecovered(place);
    } finally {
      this.#writer.leave();
      for (const claimed of this.#claimed.values()) claimed.lock.release();
      lock.release();
    }
  }

  /** Records what must not be lost any more. */
  #keep(
    kind: number,
    ref: number,
    header: Uint8Array,
    payload: Uint8Array,
    origin: Uint8Array | undefined,
    omitted = false,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(header);
      if (refused !== undefined) return reject(refused);
      const flags = (omitted ? PAYLOAD_OMITTED : 0) | (origin === undefined ? 0 : HAS_ORIGIN);
      this.#loop.add(kind, flags, ref, header, payload, origin, true, (error, number) => {
        if (error !== undefined) return reject(error);
        if (kind === FRAME_KIND.outcome && origin === undefined) this.#lastOutcome = number;
        resolve(number);
      });
    });
  }

  /** The payload, or none of it where there is no room for it; an error where not even the header may be written. */
  #fitting(header: Uint8Array, payload: Uint8Array, room: number): Uint8Array | WeirError {
    const failure = this.#loop.failure ?? this.#refusal(header);
    if (failure !== undefined) return failure;
    const { maxBytes } = this.#options;
    const least = FRAME_OVERHEAD + header.length + room;
    let left = maxBytes - this.bytes;
    if (left < least + payload.length) {
      this.#lookForRoom();
      left = maxBytes - this.bytes;
    }
    if (left < least) {
      return new WeirError("audit_unavailable", "The request cannot be recorded: the log is full and is not emptied.", {
        retryAfterMs: RETRY_AFTER_MS,
      });
    }
    return left >= least + payload.length && least - room + payload.length <= MAX_FRAME_BYTES ? payload : NOTHING;
  }

  #refusal(header: Uint8Array): WeirError | undefined {
    if (this.#closing) return new WeirError("shutting_down", "This instance is shutting down.");
    if (header.length <= MAX_HEADER_BYTES) return undefined;
    return new WeirError("internal", `A record's header has ${header.length} bytes; ${MAX_HEADER_BYTES} are allowed.`);
  }

  #lookForRoom(): void {
    const nowMs = this.#options.monotonicMs();
    if (nowMs - this.#scannedMs < RESCAN_WHEN_FULL_MS) return;
    this.#scannedMs = nowMs;
    this.#space.rescan();
  }

  /** Proof that it was alive and had nothing to record. Left out where there is no room. */
  #mark(): void {
    if (this.bytes >= this.#options.maxBytes) return;
    this.#loop.add(FRAME_KIND.mark, 0, 0, this.#options.mark(), NOTHING, undefined, false, undefined);
  }

  #writeSettled(): void {
    if (this.#settled === this.#settledOnDisk) return;
    writeSettled(this.#options.place, this.#settled);
    this.#settledOnDisk = this.#settled;
  }
}
