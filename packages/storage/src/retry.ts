import { setTimeout as sleep } from "node:timers/promises";
import { isUnavailable } from "./unavailable.ts";

export interface RetryOptions {
  /** Ends the waiting; the returned promise then rejects with its reason. */
  readonly signal: AbortSignal;
  /** Told of each failure. */
  readonly onAway: (error: unknown) => void;
  /** Between two tries: doubles from 100 ms up to this. Default 2,000. */
  readonly longestWaitMs?: number;
}

/** Runs `task` until the store it needs is there: for what a service does at its start. Any error but an outage is thrown at once. */
export async function retryWhileAway<T>(task: () => Promise<T>, options: RetryOptions): Promise<T> {
  const longestWaitMs = options.longestWaitMs ?? 2_000;
  for (let waitMs = 100; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    options.signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      options.onAway(error);
    }
    await sleep(waitMs, undefined, { signal: options.signal });
  }
}
