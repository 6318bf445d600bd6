import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Batch, Bus } from "./bus.ts";
import type { EpochTail } from "./epoch-tail.ts";
import { type Lock, lock } from "./lock.ts";
import { decodeFrames } from "./frames.ts";
import type { ProducerKey } from "./producer-key.ts";
import { Shipper } from "./shipper.ts";
import { Tails } from "./tails.ts";

export interface RelayOptions {
  /** Of the spools. */
  readonly directory: string;
  readonly bus: Bus;
  /** Signs every batch; of the directory whose spools name it in their epoch-opens. Absent: nothing is signed. */
  readonly key?: ProducerKey;
  /** For each producer the highest number under which nothing is missing in the log. Rejects when it cannot be known. */
  readonly watermarks: (
    producers: string[],
  ) => Promise<readonly { readonly producer: string; readonly contiguous: number }[]>;
  /**
   * When the log has stood still for this long below what the bus has, that is sent again: longer than the bus's dedupe window. Then after twice
   * the time, and so on. Default 150,000.
   */
  readonly resendAfterMs?: number;
  /** An intent that is open for longer is sent alone. Default 2,000. */
  readonly openAfterMs?: number;
  /**
   * How often the spools are looked at, unless a whole batch was there: what came meanwhile then shares a batch, and a statement at whoever
   * stores it. Default 50.
   */
  readonly pollMs?: number;
  /** How often the log is asked, and the directory looked through. Default 1,000. */
  readonly watermarkMs?: number;
  /** So long the log may be silent before that which an earlier relay left is sent from its beginning. Default 10,000. */
  readonly firstWatermarkMs?: number;
  /** Batches on their way at once. Default 8. */
  readonly window?: number;
  /** Default 500 frames and 512 KiB; a NATS message has 1 MiB at most. */
  readonly batchFrames?: number;
  readonly batchBytes?: number;
  /** How long to wait after the bus has rejected a batch. Default 100, doubled up to 5,000. */
  readonly retryMs?: number;
}

/** Ships what spools hold and forgets what is confirmed. One at a time works on a directory; a second one waits. */
export interface Relay extends AsyncDisposable {
  /** Something was just written. */
  nudge(): void;
  /** Sends all that is on disk, open intents, too. @returns whether it is on the bus */
  flush(timeoutMs: number): Promise<boolean>;
  /** Frames the bus took. */
  readonly shippedFrames: number;
  /** Bytes in the spools that were not sent yet, as of the last look. */
  readonly lagBytes: number;
  /** Numbers that the bus has and the log has not confirmed. */
  readonly unconfirmed: number;
  /** What goes wrong right now, of the disk, the bus or the log. */
  readonly lastError: unknown;
}

const LOCK_MS = 250;
const LONGEST_WAIT_MS = 5_000;

/** Begins at once and never ends by itself: whatever fails is tried again. */
export function startRelay(options: RelayOptions): Relay {
  return new DirectoryRelay(options);
}

class DirectoryRelay implements Relay {
  readonly #options: RelayOptions;
  readonly #tails: Tails;
  readonly #shipper: Shipper;
  readonly #ending = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #startedMs = performance.now();
  #wake: (() => void) | undefined;
  #diskError: unknown;
  #logError: unknown;
  #openAfterMs: number;
  #working = false;
  shippedFrames = 0;
  lagBytes = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#openAfterMs = options.openAfterMs ?? 2_000;
    this.#tails = new Tails(options.directory, options.firstWatermarkMs ?? 10_000);
    const firstWaitMs = options.retryMs ?? 100;
    this.#shipper = new Shipper({
      bus: options.bus,
      window: options.window ?? 8,
      firstWaitMs,
      longestWaitMs: Math.max(firstWaitMs, LONGEST_WAIT_MS),
    });
    this.#running = this.#run();
  }

  get unconfirmed(): number {
    return this.#tails.all().reduce((sum, tail) => sum + tail.unconfirmed, 0);
  }

  get lastError(): unknown {
    return this.#diskError ?? this.#shipper.lastError ?? this.#logError;
  }

  nudge(): void {
    this.#wake?.();
  }

  async flush(timeoutMs: number): Promise<boolean> {
    const endMs = performance.now() + timeoutMs;
    const usual = this.#openAfterMs;
    this.#openAfterMs = 0;
    try {
      while (performance.now() < endMs && !this.#ending.signal.aborted) {
        this.nudge();
        await this.#pause(10);
        if (!this.#working) continue;
        this.#look();
        const waiting = this.#tails.all().some((tail) => tail.waiting > 0);
        if (this.lagBytes === 0 && !waiting && !this.#shipper.busy) return true;
      }
      return false;
    } finally {
      this.#openAfterMs = usual;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#shipper.close();
    this.nudge();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const held = await this.#lock(signal);
    if (held === undefined) return;
    this.#working = true;
    try {
      await Promise.all([this.#shipAll(signal), this.#confirmAll(signal)]);
    } finally {
      this.#working = false;
      this.#tails.close();
      held.release();
    }
  }

  async #lock(signal: AbortSignal): Promise<Lock | undefined> {
    const own = join(this.#options.directory, ".relay");
    while (!signal.aborted) {
      try {
        mkdirSync(own, { recursive: true });
        return await lock(own, LOCK_MS, signal);
      } catch (error) {
        this.#diskError = error;
        await this.#pause(LOCK_MS);
      }
    }
    return undefined;
  }

  async #shipAll(signal: AbortSignal): Promise<void> {
    const { pollMs = 50, batchFrames = 500, batchBytes = 512 << 10 } = this.#options;
    const limits = { frames: batchFrames, bytes: batchBytes };
    while (!signal.aborted) {
      let more = false;
      for (const tail of this.#tails.ready(performance.now() - this.#startedMs)) {
        if (!(await this.#shipper.room())) return;
        if (this.#shipNext(tail, limits)) more = true;
      }
      if (more) await this.#turn();
      else await this.#idle(pollMs);
    }
  }

  /** @returns whether there may be more */
  #shipNext(tail: EpochTail, limits: { frames: number; bytes: number }): boolean {
    const next = this.#guarded(() => tail.next(performance.now(), this.#openAfterMs, limits));
    if (next === undefined) return false;
    const { batch, frames } = next;
    const shipped = (): void => {
      this.shippedFrames += frames;
      tail.published(batch.last, performance.now());
    };
    this.#shipper.send({ batch: this.#signed(batch), shipped });
    return frames >= limits.frames || batch.data.length >= limits.bytes >> 1;
  }

  #signed(batch: Batch): Batch {
    const { key } = this.#options;
    if (key === undefined) return batch;
    const signature = key.signatureOf(batch.producer, decodeFrames(batch.data).frames);
    return { ...batch, data: Buffer.concat([batch.data, signature]) };
  }

  /** Asks the log how far it is, and lets go of what it has. */
  async #confirmAll(signal: AbortSignal): Promise<void> {
    const { watermarkMs = 1_000, resendAfterMs = 150_000 } = this.#options;
    while (!signal.aborted) {
      this.#look();
      await this.#askLog(resendAfterMs, signal);
      this.#guarded(() => this.#tails.forget());
      await this.#pause(watermarkMs);
    }
  }

  #look(): void {
    this.#guarded(() => {
      this.#tails.look();
      this.lagBytes = this.#tails.all().reduce((sum, tail) => sum + tail.unreadBytes(), 0);
    });
  }

  async #askLog(resendAfterMs: number, signal: AbortSignal): Promise<void> {
    const producers = this.#tails.all().flatMap((tail) => (tail.finished ? [] : [tail.place.producer]));
    try {
      for (let from = 0; from < producers.length; from += 1_000) {
        const asked = producers.slice(from, from + 1_000);
        for (const { producer, contiguous } of await this.#unlessEnded(this.#options.watermarks(asked), signal)) {
          const nowMs = performance.now();
          const tail = this.#tails.of(producer);
          if (tail?.confirm(contiguous, nowMs, resendAfterMs) === true) this.#guarded(() => tail.again(nowMs));
        }
      }
      this.#logError = undefined;
    } catch (error) {
      this.#logError = error;
    }
  }

  /** A log that never answers must not keep us from ending. */
  async #unlessEnded<T>(answer: Promise<readonly T[]>, signal: AbortSignal): Promise<readonly T[]> {
    if (signal.aborted) return [];
    let ended = (): void => undefined;
    const ending = new Promise<readonly T[]>((resolve) => {
      ended = () => resolve([]);
      signal.addEventListener("abort", ended, { once: true });
    });
    try {
      return await Promise.race([answer, ending]);
    } finally {
      signal.removeEventListener("abort", ended);
    }
  }

  /** What the disk refuses now is tried again on the next round, and must not keep other epochs from being shipped. */
  #guarded<T>(run: () => T): T | undefined {
    try {
      const result = run();
      this.#diskError = undefined;
      return result;
    } catch (error) {
      this.#diskError = error;
      return undefined;
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  #idle(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#ending;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
