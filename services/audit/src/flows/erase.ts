/**
 * Erasing a data subject. Failure policy: nothing is said to be erased before it cannot be opened here, and nothing to be complete before no copy of
 * the database could be opened with any key that is left. Whatever cannot be done now is done by the next step.
 */
import {
  type ErasedSubject,
  needsGeneration,
  needsTransportKey,
  outstanding,
  type StoredErasure,
  spentTransportKeys,
} from "../domain/erasure.ts";
import type { ErasureJournal, ErasureStore, KeyGenerations, KeySession, TransportKeys } from "../ports.ts";

export interface ErasureDependencies {
  readonly store: ErasureStore;
  readonly journal: ErasureJournal;
  readonly transport: TransportKeys;
  readonly generations: KeyGenerations;
  /** Producers get a new transport key this often. */
  readonly transportKeyIntervalMs: number;
  readonly nowMs: () => number;
  readonly newId: () => string;
}

export interface ErasureOrder {
  readonly subject: ErasedSubject;
  readonly reason: string;
  readonly requestedBy: string;
}

/** Rows at once: each takes a cipher twice. */
const REWRAPPED_AT_ONCE = 500;

export function eraseSubject(deps: ErasureDependencies, order: ErasureOrder): Promise<StoredErasure> {
  const { store, journal, nowMs, newId } = deps;
  return store.erase({ ...order, id: newId(), atMs: nowMs() }, (entry) => journal.add(entry));
}

/** Before anything is opened: what the journal has and the database has not is erased once more. @returns how many */
export async function replayErasures({ store, journal, nowMs }: ErasureDependencies): Promise<number> {
  await store.alone((session) => session.reconcile(nowMs()));
  const entries = journal.all();
  return entries.length === 0 ? 0 : store.replay(entries, nowMs());
}

/**
 * Does what can be done now: gives producers a new transport key where it is time, destroys those that nothing can arrive for any more, then puts
 * the keys of all subjects under a new generation and destroys the one before it.
 * @param hastened does not wait for the interval where an erasure waits for the present transport key
 * @returns erasures that were completed by it
 */
export function advanceErasures(
  deps: ErasureDependencies,
  { hastened, abandoned }: { readonly hastened: boolean; readonly abandoned: readonly string[] },
): Promise<number> {
  const { store, nowMs } = deps;
  return store.alone(async (session) => {
    await session.reconcile(nowMs());
    if (abandoned.length > 0) await session.abandon(abandoned);
    await replaceTransportKeys(deps, session, hastened);
    await closeErasures(session);
    await replaceGeneration(deps, session);
    return await completeErasures(deps, session);
  });
}

async function replaceTransportKeys(
  { transport, transportKeyIntervalMs, nowMs }: ErasureDependencies,
  session: KeySession,
  hastened: boolean,
): Promise<void> {
  const { transportKeys } = await session.keys();
  const newest = transportKeys.at(-1);
  const now = { nowMs: nowMs(), intervalMs: transportKeyIntervalMs, hastened };
  if (newest !== undefined && needsTransportKey(newest, await session.pending(), now)) {
    transport.make(newest.number + 1);
    await session.reconcile(nowMs());
  }
  for (const number of spentTransportKeys((await session.keys()).transportKeys))
    await session.retireTransportKey(number, nowMs());
}

/** What was sealed before them cannot be opened by any transport key any more. */
async function closeErasures(session: KeySession): Promise<void> {
  const keys = await session.keys();
  for (const erasure of await session.pending()) {
    if (erasure.lastGeneration !== undefined) continue;
    if (outstanding(erasure, keys).transportKeys.length > 0) continue;
    await session.closeErasure(erasure.id, keys.generations.at(-1) ?? 0);
  }
}

async function replaceGeneration({ generations, nowMs }: ErasureDependencies, session: KeySession): Promise<void> {
  const newest = (await session.keys()).generations.at(-1);
  if (newest === undefined) return;
  if (needsGeneration(newest, await session.pending(), generations.isPresent(newest))) {
    generations.make(newest + 1);
    await session.reconcile(nowMs());
  }
  const present = generations.newest();
  while ((await session.rewrap(present, REWRAPPED_AT_ONCE)) > 0);
  for (const number of (await session.keys()).generations)
    if (number < present) await session.retireGeneration(number, nowMs());
}

async function completeErasures({ nowMs }: ErasureDependencies, session: KeySession): Promise<number> {
  const keys = await session.keys();
  let completed = 0;
  for (const erasure of await session.pending()) {
    const left = outstanding(erasure, keys);
    if (erasure.lastGeneration === undefined || left.transportKeys.length + left.generations.length > 0) continue;
    await session.completeErasure(erasure.id, nowMs());
    completed += 1;
  }
  return completed;
}

export interface ErasureEvents {
  readonly erasuresAdvanced: (completed: number) => void;
  readonly erasuresFailed: (error: unknown) => void;
}

/**
 * Steps on an interval until it is disposed.
 * @param wait resolves after so long, or when the signal fires
 */
export function erasureClock(
  deps: ErasureDependencies,
  everyMs: number,
  events: ErasureEvents,
  wait: (ms: number, signal: AbortSignal) => Promise<void>,
): AsyncDisposable {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await wait(everyMs, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        events.erasuresAdvanced(await advanceErasures(deps, { hastened: false, abandoned: [] }));
      } catch (error) {
        events.erasuresFailed(error);
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
