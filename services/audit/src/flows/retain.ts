/**
 * Removes what need not be kept any more, batch by batch. Failure policy: nothing of this is on the way of a record. What cannot be done now is
 * done by the next run; a batch that was cut off removed nothing.
 */
import type { Removal, RetentionSubject } from "../domain/retention.ts";
import type { RetentionStore } from "../ports.ts";

// Records first: what payloads they had went with them.
const SUBJECTS: readonly RetentionSubject[] = ["records", "payloads"];

export interface RetainOptions {
  /** Undefined: all. */
  readonly workspaceId: string | undefined;
  readonly dryRun: boolean;
}

/** What was removed, as it is removed, or would be. Stops where the caller asks for no more. */
export async function* retainAll(
  store: Pick<RetentionStore, "retain">,
  { workspaceId, dryRun }: RetainOptions,
): AsyncGenerator<Removal, void, undefined> {
  for (const subject of SUBJECTS) {
    for (let after: number | undefined; ; ) {
      // Looking takes no lock; removing holds up those who append.
      const looked = await store.retain(subject, workspaceId, after, true);
      const step =
        dryRun || looked.removals.length === 0 ? looked : await store.retain(subject, workspaceId, after, false);
      yield* step.removals;
      if (step.next === undefined) break;
      after = step.next;
    }
  }
}

export interface RetentionEvents {
  readonly removed: (removal: Removal) => void;
  readonly retentionFailed: (error: unknown) => void;
  readonly retained: () => void;
}

/**
 * Runs on an interval until it is disposed.
 * @param wait resolves after so long, or when the signal fires
 */
export function retentionClock(
  store: Pick<RetentionStore, "retain">,
  everyMs: number,
  events: RetentionEvents,
  wait: (ms: number, signal: AbortSignal) => Promise<void>,
): AsyncDisposable {
  const stopping = new AbortController();
  const { signal } = stopping;
  const run = async (): Promise<void> => {
    for (;;) {
      await wait(everyMs, signal);
      if (signal.aborted) return;
      try {
        for await (const removal of retainAll(store, { workspaceId: undefined, dryRun: false })) {
          events.removed(removal);
          if (signal.aborted) return;
        }
        events.retained();
      } catch (error) {
        events.retentionFailed(error);
      }
    }
  };
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
