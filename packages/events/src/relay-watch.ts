import type { Relay } from "./relay.ts";

const LOOK_EVERY_MS = 1_000;

/** What an operator wants to know when a relay begins to fail, and when it works again. */
export interface RelayState {
  /** Undefined: it ships again. */
  readonly error: unknown;
  readonly lagBytes: number;
  readonly unconfirmed: number;
}

/** Looks at the relay once a second and tells of each change: once per outage, and once when it is over. */
export function watchRelay(relay: Relay, tell: (state: RelayState) => void): Disposable {
  let failing = false;
  const timer = setInterval(() => {
    const error = relay.lastError;
    if ((error !== undefined) === failing) return;
    failing = error !== undefined;
    tell({ error, lagBytes: relay.lagBytes, unconfirmed: relay.unconfirmed });
  }, LOOK_EVERY_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
