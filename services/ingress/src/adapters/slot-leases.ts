import type { Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import type { Slots } from "../ports.ts";

type PolicyClient = Pick<Client<typeof policy.PolicyService>, "renewSlots">;

/** A lease is 30 s: with these, one that is renewed twenty seconds after it began has time for several tries. */
const RENEW_EVERY_MS = 10_000;
const RETRY_MS = 2_000;
const TIMEOUT_MS = 5_000;
/** The contract takes as many. */
const MAX_BATCH = 4_096;

/** Says of requests that run for long that they still do, so that what they hold of concurrency limits stays theirs. */
export class SlotLeases implements Slots, Disposable {
  readonly #client: PolicyClient;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  /** Since when they run, oldest first. */
  readonly #running = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(client: PolicyClient, clock: Clock, onError: (error: unknown) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onError = onError;
  }

  began(requestId: string): void {
    this.#running.set(requestId, this.#clock.monotonicMs());
    if (this.#timer === undefined) this.#renewIn(RENEW_EVERY_MS);
  }

  ended(requestId: string): void {
    this.#running.delete(requestId);
  }

  #renewIn(ms: number): void {
    if (!this.#closed) this.#timer = setTimeout(() => void this.#renew(), ms).unref();
  }

  async #renew(): Promise<void> {
    let nextMs = RENEW_EVERY_MS;
    try {
      const ids = this.#long();
      for (let from = 0; from < ids.length; from += MAX_BATCH)
        await this.#client.renewSlots({ requestIds: ids.slice(from, from + MAX_BATCH) }, { timeoutMs: TIMEOUT_MS });
    } catch (error) {
      this.#onError(error);
      nextMs = RETRY_MS;
    }
    this.#timer = undefined;
    if (this.#running.size > 0) this.#renewIn(nextMs);
  }

  #long(): string[] {
    const sinceMs = this.#clock.monotonicMs() - RENEW_EVERY_MS;
    const ids: string[] = [];
    for (const [id, beganMs] of this.#running) {
      if (beganMs > sinceMs) break;
      ids.push(id);
    }
    return ids;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
