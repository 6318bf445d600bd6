import type { Clock } from "@weir/kernel";
import type { Books } from "../ports.ts";

const EVERY_MS = 10 * 60_000;
/** Each batch locks the periods of its entries for some 10 ms. */
const PER_BATCH = 500;

/**
 * Forgets entries of the ledger that are older than they are kept for. Every replica does it; the batches are small and find nothing to do
 * where another was first. Fails open: entries that wait for it are only kept longer.
 */
export function ledgerCleanup(
  books: Pick<Books, "forget">,
  keepMs: number,
  clock: Clock,
  onError: (error: unknown) => void,
): { run(): Promise<void> } & AsyncDisposable {
  let running: Promise<void> | undefined;
  let closed = false;

  async function forgetAll(): Promise<void> {
    while (!closed && (await books.forget(clock.nowMs() - keepMs, PER_BATCH)) === PER_BATCH);
  }

  function run(): Promise<void> {
    running ??= forgetAll()
      .catch(onError)
      .finally(() => {
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
