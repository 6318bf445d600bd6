import { setTimeout as sleep } from "node:timers/promises";
import { type HeadDependencies, headStep } from "./heads.ts";

/** Steps on an interval until it is disposed; one more on the way out, so that what was written last is signed, too. */
export function headClock(deps: HeadDependencies, everyMs: number): AsyncDisposable {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await headStep(deps);
      await sleep(everyMs, undefined, { signal: stopping.signal, ref: false }).catch(() => undefined);
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
