import { recordedRefOf } from "../domain/dataset.ts";
import type { RunStore, Traffic } from "../ports.ts";
import { someAtOnce } from "./at-once.ts";

const AT_ONCE = 2;

/**
 * What replays made of requests that were erased since is deleted, also where no run comes by: nothing that was made of somebody's words outlives them
 * for longer than the time between two sweeps. @returns how many answers' records were erased
 */
export async function sweepErased(
  signal: AbortSignal,
  {
    store,
    traffic,
  }: { readonly store: Pick<RunStore, "replays" | "generated" | "forgetAnswers">; readonly traffic: Traffic },
): Promise<number> {
  let swept = 0;
  for (const run of await store.replays()) {
    for (let ordinal = 0; !signal.aborted; ) {
      const page = await store.generated(run, ordinal);
      const last = page.at(-1);
      if (last === undefined) break;
      const gone = await someAtOnce(page, AT_ONCE, async ({ ordinal: at, line }) => {
        const texts = await traffic.read(recordedRefOf(line).record);
        return "missing" in texts && texts.missing === "erased" ? [at] : [];
      });
      if (gone.flat().length > 0) await store.forgetAnswers(run.upload, gone.flat());
      swept += gone.flat().length;
      ordinal = last.ordinal + 1;
    }
  }
  return swept;
}
