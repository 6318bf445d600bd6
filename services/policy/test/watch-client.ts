import type { policy } from "@weir/contracts";
import type { Replica } from "./service-fixture.ts";

/** What an ingress would make of Watch: the keys it knows, its version, and when it last heard a beat. */
export class WatchClient implements AsyncDisposable {
  readonly keys = new Map<string, policy.KeyView>();
  readonly messages: string[] = [];
  readonly #workspaces = new Map<string, policy.AttributeView[]>();
  version = -1n;
  complete = false;
  lastBeatMs = -Infinity;
  /** As last told; 0: never told. */
  storeAwayMs = 0;
  gaps = 0;
  /** Removed keys, and whether their running requests end. */
  readonly removed = new Map<string, boolean>();
  /** Of the newest snapshot. */
  ended: readonly string[] = [];
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;

  constructor(replica: Replica, since = 0n) {
    this.version = since === 0n ? -1n : since;
    this.#done = this.#follow(replica, since).catch(() => undefined);
  }

  async #follow(replica: Replica, since: bigint): Promise<void> {
    for await (const { version, event } of replica.policy.watch(
      { sinceVersion: since },
      { signal: this.#abort.signal },
    )) {
      this.messages.push(event.case ?? "nothing");
      if (event.case === "snapshot") {
        if (event.value.first) {
          this.keys.clear();
          this.#workspaces.clear();
          this.ended = event.value.endedKeyIds;
        }
        for (const { workspaceId, attributes } of event.value.workspaces) this.#workspaces.set(workspaceId, attributes);
        for (const key of event.value.keys) this.keys.set(key.keyId, key);
        this.complete = event.value.complete;
      } else if (event.case === "storeAway") {
        this.storeAwayMs = Number(event.value.forMs);
        continue;
      } else if (event.case === "beat") {
        this.lastBeatMs = performance.now();
        if (version !== this.version) this.gaps++;
      } else {
        if (version !== this.version + 1n) this.gaps++;
        if (event.case === "key") this.keys.set(event.value.keyId, event.value);
        if (event.case === "workspace") this.#workspaces.set(event.value.workspaceId, event.value.attributes);
        if (event.case === "removedKey") {
          this.keys.delete(event.value.keyId);
          this.removed.set(event.value.keyId, event.value.endRequests);
        }
      }
      this.version = version;
    }
  }

  attributesOf(workspaceId: string): policy.AttributeView[] {
    return this.#workspaces.get(workspaceId) ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}
