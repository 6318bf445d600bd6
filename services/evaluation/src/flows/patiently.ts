import { catalogue, WeirError } from "@weir/kernel";

/** Rejects when the signal fires. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

const MOST_ATTEMPTS = 6;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 15_000;

/** Again where trying again makes sense, a few times. Rejects with the last error. */
export async function patiently<T>(task: () => Promise<T>, wait: Wait, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof WeirError) || !catalogue[error.reason].retry || attempt === MOST_ATTEMPTS) throw error;
      if (signal.aborted) throw error;
      const waitMs = Math.max(error.retryAfterMs ?? 0, FIRST_WAIT_MS * 2 ** (attempt - 1));
      await wait(Math.min(waitMs, LONGEST_WAIT_MS), signal);
    }
  }
}
