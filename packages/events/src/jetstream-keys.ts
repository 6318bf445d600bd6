import { jetstream, StorageType } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { setTimeout as sleep } from "node:timers/promises";
import { NatsLink } from "./nats-link.ts";

/** Small values under names that all replicas see; each is gone after `ttlMs` without news. */
export interface SharedKeys extends AsyncDisposable {
  /** @throws BusUnavailableError while NATS is away */
  put(name: string, value: Uint8Array): Promise<void>;
  /** Whether this call made it: of several at once one does. @throws BusUnavailableError while NATS is away */
  create(name: string, value: Uint8Array): Promise<boolean>;
  /** @throws BusUnavailableError while NATS is away */
  remove(name: string): Promise<void>;
  /** Told of everything there is, and of what comes: also after NATS was away. */
  watch(onValue: (name: string, value: Uint8Array) => void): void;
}

const WATCH_AGAIN_MS = 500;

/** A bucket of NATS's key-value store, made on first use, in memory: what it holds is worth nothing after a restart of all. */
export function jetStreamKeys(options: {
  readonly url: string;
  readonly bucket: string;
  readonly ttlMs: number;
}): SharedKeys {
  const link = new NatsLink(options.url);
  let closed = false;
  let bucket: { readonly connection: unknown; readonly kv: KV } | undefined;

  async function kv(): Promise<KV> {
    const connection = link.connected();
    if (bucket?.connection !== connection) {
      const { bucket: name, ttlMs: ttl } = options;
      const made = new Kvm(jetstream(connection)).create(name, { ttl, history: 1, storage: StorageType.Memory });
      bucket = { connection, kv: await link.unlessLost(made) };
    }
    return bucket.kv;
  }

  async function follow(onValue: (name: string, value: Uint8Array) => void): Promise<void> {
    while (!closed) {
      try {
        await link.found();
        if (closed) return;
        const entries = await link.unlessLost((await kv()).watch());
        for await (const { key, operation, value } of entries) if (operation === "PUT") onValue(key, value);
      } catch {
        // Away: looked for again below, and everything that is there is told anew.
        bucket = undefined;
      }
      if (!closed) await sleep(WATCH_AGAIN_MS, undefined, { ref: false });
    }
  }

  return {
    async put(name, value) {
      await link.unlessLost((await kv()).put(name, value));
    },
    async create(name, value) {
      const store = await kv();
      try {
        await link.unlessLost(store.create(name, value));
        return true;
      } catch (error) {
        // "wrong last sequence": it is there.
        if (error instanceof Error && "code" in error && error.code === 10071) return false;
        throw error;
      }
    },
    async remove(name) {
      await link.unlessLost((await kv()).delete(name));
    },
    watch(onValue) {
      void follow(onValue);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await link.close();
    },
  };
}
