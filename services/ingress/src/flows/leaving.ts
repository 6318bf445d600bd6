/**
 * The end of a stream whose client is gone. The router is asked to end it, so that it tells what was written and what that costs; where it
 * cannot be asked, or does not tell in time, the stream is cut and its account is estimated here. Either way the provider's stream ends
 * within the time that asking may take.
 */

/** Of the 250 ms in which a provider's stream has to end. */
const ASK_MS = 100;
/** Counting a long answer takes a while, and nobody waits for it. */
const ACCOUNT_MS = 2_000;

export interface Leaving {
  /** Aborted when the stream is to be cut. */
  readonly signal: AbortSignal;
  /** The stream is over. */
  done(): void;
}

/**
 * @param left aborted when the client is gone
 * @param ask ends the stream where it runs; false: it does not run there
 */
export function leaving(left: AbortSignal, ask: (timeoutMs: number) => Promise<boolean>): Leaving {
  const cut = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const end = (): void => cut.abort(left.reason);
  const leave = (): void => {
    timer = setTimeout(end, ASK_MS);
    ask(ASK_MS).then(
      (found) => {
        clearTimeout(timer);
        if (!found) end();
        else if (!over) timer = setTimeout(end, ACCOUNT_MS);
      },
      () => end(),
    );
  };
  left.addEventListener("abort", leave, { once: true });
  return {
    signal: cut.signal,
    done() {
      left.removeEventListener("abort", leave);
      clearTimeout(timer);
      over = true;
    },
  };
}
