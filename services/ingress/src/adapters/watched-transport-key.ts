import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import { createSealer, type Sealer } from "@weir/sealing";
import type { Pseudonyms } from "../ports.ts";
import { HmacKeys, hmac } from "./hmac.ts";

/** A new key must be in use soon after it was made: erasures wait for that. */
const REFRESH_MS = 10_000;
const RETRY_MS = 1_000;
const TIMEOUT_MS = 5_000;

/**
 * Seals to audit's transport key, asked for in the background; the last one stays in force while audit is away. Pseudonyms are under a key that is made
 * with each transport key, and kept in memory only.
 */
export class WatchedTransportKey implements AsyncDisposable {
  /** Undefined: the key is not known yet. */
  sealer: Sealer | undefined;
  /** Of that key; later ones are higher. 0: none. */
  number = 0;
  readonly pseudonyms: Pseudonyms = {
    of: (workspaceId, endUser) => hmac(this.#names.of(workspaceId), Buffer.from(endUser)),
  };
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #clock: Clock;
  #names = new HmacKeys(randomBytes(32));
  #publicKey: Uint8Array = new Uint8Array(0);

  constructor(
    client: Pick<Client<typeof audit.ProducerService>, "getTransportKey">,
    producer: string,
    clock: Clock,
    onError: (error: unknown) => void,
    refreshMs = REFRESH_MS,
  ) {
    this.#clock = clock;
    this.#running = this.#run(client, producer, onError, refreshMs);
  }

  async #run(
    client: Pick<Client<typeof audit.ProducerService>, "getTransportKey">,
    producer: string,
    onError: (error: unknown) => void,
    refreshMs: number,
  ): Promise<void> {
    const { signal } = this.#stop;
    let failing = false;
    while (!signal.aborted) {
      try {
        const { publicKey, number } = await client.getTransportKey({ producer }, { signal, timeoutMs: TIMEOUT_MS });
        this.#use(publicKey, Number(number));
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) onError(error);
        failing = true;
      }
      await sleep(failing ? RETRY_MS : refreshMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Never goes back: marks in the spool have said that what follows is sealed to this key or to later ones. */
  #use(publicKey: Uint8Array, number: number): void {
    if (number < this.number || Buffer.compare(publicKey, this.#publicKey) === 0) return;
    this.sealer = createSealer(publicKey, () => this.#clock.monotonicMs());
    this.number = number;
    this.#names = new HmacKeys(randomBytes(32));
    this.#publicKey = publicKey;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
