import type { KeyStore } from "../ports.ts";

const EVERY_MS = 60_000;
/** Each batch is a transaction that holds the directory's lock. */
const PER_BATCH = 500;

/**
 * Drops short-lived keys that expired a while ago from the memory of all replicas, and deletes their rows a month later. Every replica does
 * it; the batches are small and find nothing to do where another was first. Fails open: keys that wait for it have expired.
 */
export function keyCleanup(
  store: Pick<KeyStore, "forgetExpired" | "deleteForgotten">,
  onError: (error: unknown) => void,
): { run(): Promise<void> } & AsyncDisposable {
  let running: Promise<void> | undefined;
  let closed = false;

  async function batches(next: () => Promise<number>): Promise<void> {
    while (!closed && (await next()) === PER_BATCH);
  }

  function run(): Promise<void> {
    running ??= (async () => {
      try {
        await batches(() => store.forgetExpired(PER_BATCH));
        await batches(() => store.deleteForgotten(PER_BATCH));
      } catch (error) {
        onError(error);
      }
    })().finally(() => {
      running = undefined;
    });
    return running;
  }

  const timer = setInterval(() => void run(), EVERY_MS).unref();
  return {
    run,
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(timer);
      await running;
    },
  };
}
