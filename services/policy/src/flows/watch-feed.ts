import type { Clock } from "@weir/kernel";
import type { AttributeTable } from "@weir/rules";
import type { AttributePolicy, KeyPolicy } from "../domain/key-policy.ts";
import type { Directory } from "./directory.ts";
import type { DirectorySync } from "./directory-sync.ts";

const BEAT_MS = 250;
const KEYS_PER_MESSAGE = 256;
const ATTRIBUTES_PER_MESSAGE = 1024;

/** What a workspace sets for end users and tags; undefined: nothing. */
export interface WorkspaceAttributes {
  readonly workspaceId: string;
  readonly attributes: AttributeTable<AttributePolicy> | undefined;
}

/** What a watcher is told, each with the version that it then knows. */
export type WatchEvent =
  | {
      readonly kind: "snapshot";
      readonly version: number;
      readonly keys: readonly KeyPolicy[];
      readonly workspaces: readonly WorkspaceAttributes[];
      readonly first: boolean;
      readonly complete: boolean;
      /** Keys whose running requests end; in the first part. */
      readonly ended: Iterable<string>;
    }
  | { readonly kind: "key"; readonly version: number; readonly key: KeyPolicy }
  | { readonly kind: "removed"; readonly version: number; readonly keyId: string; readonly endRequests: boolean }
  | { readonly kind: "workspace"; readonly version: number; readonly workspace: WorkspaceAttributes }
  | { readonly kind: "beat"; readonly version: number }
  /** Instead of a beat. */
  | { readonly kind: "store-away"; readonly version: number; readonly forMs: number };

/**
 * Everything, or what changed since a version; then changes as they come, and a beat every 250 ms. A beat says: nothing that
 * was committed more than about a second ago is missing. So there is none while the store is away, but a word that it is (policy itself is
 * not away, and what it cannot know it refuses), and no snapshot either: a replica that has been cut off from the store would bring keys
 * back to life that were revoked meanwhile. There is no queue: a slow watcher gets the state of the moment when it reads on, or everything
 * anew if it fell too far behind.
 */
export async function* watch(
  directory: Directory,
  sync: Pick<DirectorySync, "fresh" | "refresh" | "silentForMs">,
  clock: Clock,
  since: number,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent, void> {
  let version = since;
  // Another replica may have been ahead of this one: going back to an older state could bring a revoked key to life.
  if (since > (directory.version ?? 0) && directory.version !== undefined) await sync.refresh().catch(() => undefined);
  let needsAll = since === 0;
  let nextBeatMs = clock.monotonicMs();
  while (!signal.aborted) {
    // Undefined: not loaded yet, as the store was away at the start.
    const current = directory.version;
    const changes = directory.changesSince(version);
    const isBehind = needsAll || changes === undefined;
    const knows = current !== undefined && (!isBehind || sync.fresh());
    if (knows) {
      if (isBehind) {
        needsAll = false;
        version = current;
        yield* snapshot(version, directory);
      } else {
        for (const change of changes) {
          version = change.version;
          if (change.isWorkspace) {
            const workspaceId = change.keyId;
            yield {
              kind: "workspace",
              version,
              workspace: { workspaceId, attributes: directory.attributes(workspaceId) },
            };
            continue;
          }
          const key = directory.key(change.keyId);
          yield key === undefined
            ? { kind: "removed", version, keyId: change.keyId, endRequests: directory.ended().has(change.keyId) }
            : { kind: "key", version, key };
        }
      }
      // Something changed while the watcher took its time.
      if (directory.version !== version) continue;
    }
    const nowMs = clock.monotonicMs();
    if (nowMs >= nextBeatMs) {
      nextBeatMs = nowMs + BEAT_MS;
      if (!sync.fresh()) yield { kind: "store-away", version, forMs: sync.silentForMs() };
      else if (knows) yield { kind: "beat", version };
    }
    await changeOrTime(directory, nextBeatMs - clock.monotonicMs(), signal);
  }
}

/** First what workspaces set, then the keys, so that no key is known without what counts for its requests. */
function* snapshot(version: number, directory: Directory): Generator<WatchEvent, void> {
  const keys = directory.allKeys();
  const ended = directory.ended();
  let first = true;
  const part = (some: Pick<Snapshot, "keys" | "workspaces" | "complete">): Snapshot => {
    const event: Snapshot = { kind: "snapshot", version, ...some, first, ended: first ? ended : [] };
    first = false;
    return event;
  };
  for (const workspaces of attributeParts(directory)) yield part({ keys: [], workspaces, complete: false });
  for (let at = 0; at === 0 || at < keys.length; at += KEYS_PER_MESSAGE) {
    const some = keys.slice(at, at + KEYS_PER_MESSAGE);
    yield part({ keys: some, workspaces: [], complete: at + KEYS_PER_MESSAGE >= keys.length });
  }
}

type Snapshot = Extract<WatchEvent, { kind: "snapshot" }>;

function* attributeParts(directory: Directory): Generator<WorkspaceAttributes[]> {
  let part: WorkspaceAttributes[] = [];
  let size = 0;
  for (const [workspaceId, attributes] of directory.allAttributes()) {
    part.push({ workspaceId, attributes });
    size += attributes.all.length;
    if (size < ATTRIBUTES_PER_MESSAGE) continue;
    yield part;
    part = [];
    size = 0;
  }
  if (part.length > 0) yield part;
}

/** Waits for a change, or so long. */
function changeOrTime(directory: Directory, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      forget();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(0, ms));
    const forget = directory.onceChanged(end);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
