import { WeirError } from "@weir/kernel";
import { type Recorded, RecordBuffer } from "./record-buffer.ts";
import type { SegmentWriter } from "./segment-writer.ts";

/*
 * Fails closed: while the disk does not take what is written, nothing new begins (intents are refused at once), what has begun is kept in
 * memory until it can be written, and a probe finds out by itself when that is.
 */
export interface WriteLoopOptions {
  readonly writer: SegmentWriter;
  readonly strict: boolean;
  readonly probeMs: number;
  /** So long those wait whose record is kept while the disk fails. */
  readonly outcomeWaitMs: number;
  readonly monotonicMs: () => number;
  /** Something harmless to write, for the probe. */
  readonly onProbe: () => void;
}

/**
 * Writes all records of a turn of the event loop with one call, by setImmediate, and tells their callers afterwards. (nextTick does not group,
 * timers wait for nothing.) In strict mode the next write waits until the last one is synced, and takes all that came meanwhile.
 */
export class WriteLoop {
  readonly #options: WriteLoopOptions;
  readonly #flush = (): void => this.#flushNow();
  #nextNumber = 1;
  #filling = new RecordBuffer();
  #spare = new RecordBuffer();
  #syncing: RecordBuffer | undefined;
  /** Written and not synced: its frames keep their numbers, as a reader may have seen them. */
  #unsynced: RecordBuffer | undefined;
  #due = false;
  #failedSinceMs: number | undefined;
  #failure: WeirError | undefined;
  #probe: NodeJS.Timeout | undefined;
  #idle: (() => void)[] = [];
  #orphans = 0;
  #ended = false;

  constructor(options: WriteLoopOptions) {
    this.#options = options;
  }

  get failure(): WeirError | undefined {
    return this.#failure;
  }

  /** Not written yet. */
  get bufferedBytes(): number {
    return this.#filling.length + (this.#unsynced?.length ?? 0);
  }

  /** The number of the last record added. */
  get lastNumber(): number {
    return this.#nextNumber - 1;
  }

  /** Refused records that are in the file all the same. */
  get orphans(): number {
    return this.#orphans;
  }

  add(
    kind: number,
    flags: number,
    ref: number,
    header: Uint8Array,
    payload: Uint8Array,
    origin: Uint8Array | undefined,
    kept: boolean,
    recorded: Recorded | undefined,
  ): void {
    this.#filling.add(kind, flags, this.#nextNumber, ref, header, payload, origin, kept, recorded);
    this.#nextNumber += 1;
    if (this.#due || this.#syncing !== undefined || this.#failure !== undefined) return;
    this.#due = true;
    setImmediate(this.#flush);
  }

  /** Resolves when nothing is left to write. @throws WeirError when the disk does not take it; what is left is then given up */
  async end(): Promise<void> {
    this.#ended = true;
    this.#flushNow();
    while (this.#failure === undefined && (this.#syncing !== undefined || this.#filling.count > 0)) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    clearInterval(this.#probe);
    const failure = this.#failure;
    if (failure === undefined) return;
    this.#unsynced?.refuse(failure, true);
    this.#filling.refuse(failure, true);
    throw failure;
  }

  #flushNow(): void {
    this.#due = false;
    if (this.#syncing !== undefined) return;
    const batch = this.#unsynced ?? this.#swap();
    if (batch.count > 0) this.#write(batch);
    this.#tellIdle();
  }

  #swap(): RecordBuffer {
    const batch = this.#filling;
    this.#filling = this.#spare;
    this.#spare = batch;
    return batch;
  }

  #write(batch: RecordBuffer): void {
    const { writer, strict } = this.#options;
    const { written, error } = writer.append(batch.bytes, batch.length, batch.firstNumber);
    if (error !== undefined) {
      const whole = batch.wholeWithin(written);
      writer.takeBack(written - whole.length);
      const failure = this.#fail(error);
      if (batch === this.#unsynced) return;
      const dropped = batch.moveKept(whole.count, this.#filling);
      this.#nextNumber = this.#filling.firstNumber + this.#filling.count;
      for (const recorded of dropped) recorded(failure, 0);
      if (batch.count === 0) return;
    }
    if (strict) return this.#sync(batch, error === undefined);
    if (error === undefined) this.#recover();
    batch.settle();
  }

  /** @param whole the disk took all of it, so that it works again once it is synced */
  #sync(batch: RecordBuffer, whole: boolean): void {
    this.#syncing = batch;
    this.#options.writer.sync((error) => {
      this.#syncing = undefined;
      if (error === null) {
        if (batch === this.#unsynced) this.#unsynced = undefined;
        if (whole) this.#recover();
        batch.settle();
      } else {
        this.#notSynced(batch, error);
      }
      if (this.#failure === undefined && this.#filling.count > 0) this.#flushNow();
      this.#tellIdle();
    });
  }

  /** The kernel has forgotten which pages it could not write: only writing them again, elsewhere, can be trusted. */
  #notSynced(batch: RecordBuffer, error: Error): void {
    this.#options.writer.leave();
    this.#unsynced = batch;
    this.#spare = new RecordBuffer();
    const failure = this.#fail(error);
    const waiting = this.#filling;
    this.#filling = new RecordBuffer();
    const dropped = waiting.moveKept(0, this.#filling);
    this.#filling.firstNumber = batch.firstNumber + batch.count;
    this.#nextNumber = this.#filling.firstNumber + this.#filling.count;
    this.#orphans += batch.refuse(failure, false);
    for (const recorded of dropped) recorded(failure, 0);
  }

  #fail(cause: unknown): WeirError {
    const { probeMs, monotonicMs } = this.#options;
    this.#failedSinceMs ??= monotonicMs();
    this.#failure = new WeirError("audit_unavailable", "The request cannot be recorded: the log's disk fails.", {
      retryAfterMs: 1_000,
      cause,
    });
    if (this.#probe === undefined && !this.#ended) {
      this.#probe = setInterval(() => this.#probeNow(), probeMs);
      this.#probe.unref();
    }
    return this.#failure;
  }

  #probeNow(): void {
    const { outcomeWaitMs, monotonicMs, onProbe } = this.#options;
    if (this.#syncing !== undefined) return;
    if (this.#unsynced === undefined && this.#filling.count === 0) onProbe();
    this.#flushNow();
    const failure = this.#failure;
    if (failure === undefined || this.#failedSinceMs === undefined) return;
    if (monotonicMs() - this.#failedSinceMs < outcomeWaitMs) return;
    this.#unsynced?.refuse(failure, true);
    this.#filling.refuse(failure, true);
  }

  #recover(): void {
    if (this.#failure === undefined) return;
    clearInterval(this.#probe);
    this.#probe = undefined;
    this.#failure = undefined;
    this.#failedSinceMs = undefined;
    if (this.#filling.count === 0 || this.#due) return;
    this.#due = true;
    setImmediate(this.#flush);
  }

  #tellIdle(): void {
    const idle = this.#idle;
    if (idle.length === 0) return;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
