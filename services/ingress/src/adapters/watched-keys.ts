import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import type { Grant } from "../domain/grant.ts";
import { type Freshness, freshness, type Grace, type Heard } from "../domain/key.ts";
import type { KeyDirectory } from "../ports.ts";
import { KeyView } from "./key-view.ts";

type PolicyClient = Client<typeof policy.PolicyService>;

/** Between two tries to reach policy. */
const RETRY_MS = 250;
/** Policy says something every 250 ms. An instance that says nothing for so long hangs: another may be well. */
const SILENT_MS = 1_500;
/** An instance that has lost its store for so long is left: another may have it still. */
const STORE_AWAY_MS = 2_000;

export interface WatchedKeysEvents {
  onError(error: unknown): void;
  /** These keys were revoked together with what they run. Told again, and of keys that run nothing here, too. */
  onEnded(keyIds: ReadonlySet<string>): void;
}

/** Keys as policy pushes them. A gap in the versions, or a lost stream, starts anew; what is known stays in force meanwhile. */
export class WatchedKeys implements KeyDirectory, AsyncDisposable {
  version = 0n;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #view = new KeyView();
  readonly #grace: Grace;
  readonly #events: WatchedKeysEvents;
  #heard: Heard | undefined;
  #lastError: unknown;

  constructor(client: PolicyClient, clock: Clock, grace: Grace, events: WatchedKeysEvents) {
    this.#clock = clock;
    this.#grace = grace;
    this.#events = events;
    this.#running = this.#run(client);
  }

  find(secret: string): Grant | undefined {
    return this.#view.find(hash("sha256", secret, "hex"));
  }

  byId(keyId: string): Grant | undefined {
    return this.#view.byId(keyId);
  }

  /** Policy is there, and says that it cannot see its store. */
  get storeAway(): boolean {
    return this.#heard !== undefined && this.#heard.policyMs > this.#heard.storeMs;
  }

  freshness(): Freshness {
    return freshness(this.#heard, this.#clock.monotonicMs(), this.#grace);
  }

  async #run(client: PolicyClient): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#watch(client);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // Once per outage: a log line every 250 ms helps nobody.
        if (String(error) !== String(this.#lastError)) this.#events.onError(error);
        this.#lastError = error;
      }
      await sleep(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #watch(client: PolicyClient): Promise<void> {
    let next: KeyView | undefined;
    let known = 0n;
    let awaySinceMs: number | undefined;
    const silent = new AbortController();
    const timer = setTimeout(() => silent.abort(), SILENT_MS).unref();
    const signal = AbortSignal.any([this.#stop.signal, silent.signal]);
    using _timer = { [Symbol.dispose]: () => clearTimeout(timer) };
    for await (const message of client.watch({ sinceVersion: 0n }, { signal })) {
      timer.refresh();
      const { event } = message;
      switch (event.case) {
        case "snapshot":
          if (event.value.first) {
            next = new KeyView();
            // Of those that were revoked while this process heard nothing.
            this.#events.onEnded(new Set(event.value.endedKeyIds));
          }
          if (next === undefined) return;
          for (const workspace of event.value.workspaces) next.putWorkspace(workspace);
          for (const key of event.value.keys) next.put(key);
          if (!event.value.complete) continue;
          this.#view = next;
          next = undefined;
          break;
        case "key":
        case "removedKey":
        case "workspace":
          if (message.version !== known + 1n) return;
          if (event.case === "key") this.#view.put(event.value);
          else if (event.case === "removedKey") this.#remove(event.value);
          else this.#view.putWorkspace(event.value);
          break;
        case "beat":
          if (message.version !== known) return;
          break;
        case "storeAway": {
          const nowMs = this.#clock.monotonicMs();
          if (this.#heard !== undefined) this.#heard = { policyMs: nowMs, storeMs: this.#heard.storeMs };
          awaySinceMs ??= nowMs;
          if (nowMs - awaySinceMs > STORE_AWAY_MS) return;
          continue;
        }
        case undefined:
          continue;
      }
      awaySinceMs = undefined;
      known = message.version;
      this.version = known;
      const nowMs = this.#clock.monotonicMs();
      this.#heard = { policyMs: nowMs, storeMs: nowMs };
      this.#lastError = undefined;
    }
  }

  #remove({ keyId, endRequests }: policy.RemovedKey): void {
    this.#view.remove(keyId);
    if (endRequests) this.#events.onEnded(new Set([keyId]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
