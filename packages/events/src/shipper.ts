import type { Batch, Bus } from "./bus.ts";

export interface ShipperOptions {
  readonly bus: Bus;
  /** So many batches are on their way at once. */
  readonly window: number;
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
}

/** A batch, and whom to tell that the bus has it. */
export interface Parcel {
  readonly batch: Batch;
  readonly shipped: () => void;
}

/**
 * Publishes batches, several at a time, and never gives one up. While all goes well they arrive in their order; when some are rejected, nothing
 * new is sent before they got through, one by one, the oldest first.
 */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #rejected: { readonly order: number; readonly parcel: Parcel }[] = [];
  #order = 0;
  #inFlight = 0;
  #retrying = false;
  #closed = false;
  #endWait: (() => void) | undefined;
  #changed: (() => void)[] = [];
  lastError: unknown;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#inFlight > 0 || this.#rejected.length > 0;
  }

  /** Resolves when one more may be sent; false: when it is closed. */
  async room(): Promise<boolean> {
    while (!this.#closed && (this.#inFlight >= this.#options.window || this.#rejected.length > 0)) await this.#change();
    return !this.#closed;
  }

  /** Only when there is room. */
  send(parcel: Parcel): void {
    const order = this.#order;
    this.#order += 1;
    this.#inFlight += 1;
    void this.#publish(parcel).then((taken) => {
      this.#inFlight -= 1;
      if (!taken) this.#rejected.push({ order, parcel });
      if (this.#rejected.length > 0 && this.#inFlight === 0) void this.#retry();
      this.#tell();
    });
  }

  /** What is on its way may arrive or not; it is still on disk. */
  close(): void {
    this.#closed = true;
    this.#endWait?.();
    this.#tell();
  }

  async #publish(parcel: Parcel): Promise<boolean> {
    try {
      await this.#options.bus.publish(parcel.batch);
    } catch (error) {
      this.lastError = error;
      return false;
    }
    this.lastError = undefined;
    parcel.shipped();
    return true;
  }

  async #retry(): Promise<void> {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#rejected.sort((a, b) => a.order - b.order);
    const { firstWaitMs, longestWaitMs } = this.#options;
    for (let waitMs = firstWaitMs; !this.#closed; ) {
      const [oldest] = this.#rejected;
      if (oldest === undefined) break;
      // Half of it by chance: many relays wait for the same bus.
      await this.#wait(waitMs * (0.5 + Math.random() / 2));
      while (!this.#closed && this.#rejected[0] !== undefined && (await this.#publish(this.#rejected[0].parcel))) {
        this.#rejected.shift();
        waitMs = firstWaitMs;
      }
      waitMs = Math.min(2 * waitMs, longestWaitMs);
    }
    this.#retrying = false;
    this.#tell();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#endWait = done;
    });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #tell(): void {
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }
}
