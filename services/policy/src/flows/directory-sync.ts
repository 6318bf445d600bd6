import type { Clock } from "@weir/kernel";
import type { DirectoryStore } from "../ports.ts";
import type { Directory } from "./directory.ts";

/** Notifications come at once; this finds what they missed. */
const POLL_MS = 500;
const RETRY_MS = 250;
/** With nothing heard from the store for so long, this replica can no longer say that it knows everything. */
const FRESH_MS = 900;

export interface DirectorySync extends AsyncDisposable {
  /** Reads what changed; resolves when everything that was committed before the call is known here. @throws where the store is away */
  refresh(): Promise<void>;
  /** Whether the store was heard from a moment ago. */
  fresh(): boolean;
  /** Since the store was last heard from; since the beginning, where it never was. */
  silentForMs(): number;
  /** Starts following; resolves after the first try, whether or not the store was there. */
  start(): Promise<void>;
}

export interface SyncEvents {
  onAway(error: unknown): void;
  onBack(): void;
}

/**
 * Keeps the directory equal to its store, for as long as it runs and whatever the store does: requests go on with the last state,
 * and watchers are told that it may be old.
 * @param prepare what must be done before the first load: migrations, the first start's seed. Repeated until it succeeds.
 */
export function directorySync(
  directory: Directory,
  store: DirectoryStore,
  clock: Clock,
  events: SyncEvents,
  prepare: () => Promise<void>,
): DirectorySync {
  const startedAtMs = clock.monotonicMs();
  let heardAtMs: number | undefined;
  let prepared = false;
  let away = false;
  let closed = false;
  let listening: AsyncDisposable | undefined;
  let timer: NodeJS.Timeout | undefined;
  let reading: Promise<void> | undefined;
  let readAgain: Promise<void> | undefined;

  async function read(): Promise<void> {
    if (!prepared) {
      await prepare();
      prepared = true;
    }
    const askedAtMs = clock.monotonicMs();
    const known = directory.version;
    const news = known === undefined ? undefined : await store.changesSince(known);
    if (news === undefined) directory.load(await store.load());
    else directory.apply(news);
    heardAtMs = askedAtMs;
  }

  /** One read at a time. Who asks while one is under way waits for the next: the present one may have looked too early. */
  function refresh(): Promise<void> {
    if (reading === undefined) {
      reading = read().finally(() => {
        reading = undefined;
      });
      return reading;
    }
    readAgain ??= reading
      .catch(() => undefined)
      .then(() => {
        readAgain = undefined;
        return refresh();
      });
    return readAgain;
  }

  async function step(): Promise<void> {
    clearTimeout(timer);
    let next = POLL_MS;
    try {
      await refresh();
      listening ??= await store.onChange(onNotification);
      if (away) events.onBack();
      away = false;
    } catch (error) {
      next = RETRY_MS;
      await stopListening();
      if (!away && !closed) events.onAway(error);
      away = true;
    }
    clearTimeout(timer);
    if (!closed) timer = setTimeout(() => void step(), next);
  }

  function onNotification(): void {
    // A failure shows at the next poll.
    if (!closed) refresh().catch(() => undefined);
  }

  async function stopListening(): Promise<void> {
    const old = listening;
    listening = undefined;
    await old?.[Symbol.asyncDispose]();
  }

  return {
    refresh,
    fresh: () => heardAtMs !== undefined && clock.monotonicMs() - heardAtMs < FRESH_MS,
    silentForMs: () => clock.monotonicMs() - (heardAtMs ?? startedAtMs),
    start: step,
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(timer);
      await reading?.catch(() => undefined);
      await stopListening();
    },
  };
}
