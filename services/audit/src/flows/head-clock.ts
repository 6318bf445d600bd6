import { type HeadDependencies, headStep } from "./heads.ts";

/**
 * Steps on an interval until it is disposed; one more on the way out, so that what was written last is signed, too.
 * @param wait resolves after so long, or when the signal fires
 */
export function headClock(
  deps: HeadDependencies,
  everyMs: number,
  wait: (ms: number, signal: AbortSignal) => Promise<void>,
): AsyncDisposable {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await headStep(deps);
      await wait(everyMs, stopping.signal);
    }
    await headStep(deps);
  };
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
