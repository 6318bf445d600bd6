import { hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import { policy } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import {
  type Freshness,
  freshness,
  type Grace,
  type Grant,
  grantOf,
  type Heard,
  type Key,
  type Rules,
  type Scope,
} from "../domain/key.ts";
import type { KeyDirectory } from "../ports.ts";

type PolicyClient = Client<typeof policy.PolicyService>;

/** Between two tries to reach policy. */
const RETRY_MS = 250;
/** Policy says something every 250 ms. An instance that says nothing for so long hangs: another may be well. */
const SILENT_MS = 1_500;
/** An instance that has lost its store for so long is left: another may have it still. */
const STORE_AWAY_MS = 2_000;

const SCOPES: Partial<Record<policy.Scope, Scope>> = {
  [policy.Scope.INFERENCE]: "inference",
  [policy.Scope.READ]: "read",
  [policy.Scope.ADMIN]: "admin",
};

const PAYLOADS: Partial<Record<policy.PayloadChoice, Key["payloads"]>> = {
  [policy.PayloadChoice.NONE]: "none",
  [policy.PayloadChoice.REDACTED]: "redacted",
  [policy.PayloadChoice.FULL]: "full",
};

const rulesOf = (rules: policy.Rules): Rules => rules;

function keyOf(view: policy.KeyView): Key {
  return {
    id: view.keyId,
    organizationId: view.organizationId,
    workspaceId: view.workspaceId,
    workspace: view.workspace,
    projectId: view.projectId,
    name: view.name,
    expiresAtMs: Number(view.expiresAtMs),
    scopes: view.scopes.flatMap((scope) => SCOPES[scope] ?? []),
    rules: view.rules === undefined ? [] : [rulesOf(view.rules)],
    hasHardBudget: view.hasHardBudget,
    hasBudget: view.hasBudget,
    hasLimit: view.hasLimit,
    payloads: PAYLOADS[view.payloadChoice] ?? "hashes",
  };
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");

interface View {
  readonly byHash: Map<string, Grant>;
  readonly hashById: Map<string, string>;
}

const emptyView = (): View => ({ byHash: new Map(), hashById: new Map() });

function put(view: View, pushed: policy.KeyView): void {
  remove(view, pushed.keyId);
  const hashed = hex(pushed.hash);
  view.byHash.set(hashed, grantOf(keyOf(pushed)));
  view.hashById.set(pushed.keyId, hashed);
}

function remove(view: View, keyId: string): void {
  const hashed = view.hashById.get(keyId);
  if (hashed !== undefined) view.byHash.delete(hashed);
  view.hashById.delete(keyId);
}

/** Keys as policy pushes them. A gap in the versions, or a lost stream, starts anew; what is known stays in force meanwhile. */
export class WatchedKeys implements KeyDirectory, AsyncDisposable {
  version = 0n;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #view = emptyView();
  readonly #grace: Grace;
  #heard: Heard | undefined;
  #lastError: unknown;

  constructor(client: PolicyClient, clock: Clock, grace: Grace, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#grace = grace;
    this.#running = this.#run(client, onError);
  }

  find(secret: string): Grant | undefined {
    return this.#view.byHash.get(hash("sha256", secret, "hex"));
  }

  /** Policy is there, and says that it cannot see its store. */
  get storeAway(): boolean {
    return this.#heard !== undefined && this.#heard.policyMs > this.#heard.storeMs;
  }

  freshness(): Freshness {
    return freshness(this.#heard, this.#clock.monotonicMs(), this.#grace);
  }

  async #run(client: PolicyClient, onError: (error: unknown) => void): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#watch(client);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // Once per outage: a log line every 250 ms helps nobody.
        if (String(error) !== String(this.#lastError)) onError(error);
        this.#lastError = error;
      }
      await sleep(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #watch(client: PolicyClient): Promise<void> {
    let next: View | undefined;
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
          if (event.value.first) next = emptyView();
          if (next === undefined) return;
          for (const key of event.value.keys) put(next, key);
          if (!event.value.complete) continue;
          this.#view = next;
          next = undefined;
          break;
        case "key":
        case "removedKey":
          if (message.version !== known + 1n) return;
          if (event.case === "key") put(this.#view, event.value);
          else remove(this.#view, event.value.keyId);
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
