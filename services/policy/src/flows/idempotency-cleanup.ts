import type { IdempotencyStore } from "../ports.ts";

const EVERY_MS = 5 * 60_000;
const PER_BATCH = 500;

/** Forgets kept answers when their time is over. Every replica does it. Fails open: an answer that is too old is given to nobody anyway. */
export function idempotencyCleanup(
  store: Pick<IdempotencyStore, "deleteExpired">,
  onError: (error: unknown) => void,
): AsyncDisposable {
  let running = Promise.resolve();
  let closed = false;

  async function run(): Promise<void> {
    try {
      while (!closed && (await store.deleteExpired(PER_BATCH)) === PER_BATCH);
    } catch (error) {
      onError(error);
    }
  }

  const timer = setInterval(() => {
    running = running.then(run);
  }, EVERY_MS).unref();
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
