import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";

export interface HeartbeatOptions {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly onUp: () => void;
  readonly onDown: (error: unknown) => void;
}

/** Asks the database at intervals whether it is there, so that readiness is known without traffic. Resolves when `signal` ends it. */
export async function heartbeat(pool: pg.Pool, options: HeartbeatOptions): Promise<void> {
  const { everyMs, signal, onUp, onDown } = options;
  while (!signal.aborted) {
    try {
      await pool.query("select");
      if (!signal.aborted) onUp();
    } catch (error) {
      if (!signal.aborted) onDown(error);
    }
    // Aborting is the only way this rejects, and the loop ends by it.
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
