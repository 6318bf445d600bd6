import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { audit } from "@weir/contracts";
import type { Clock } from "@weir/kernel";
import { createSealer, type Sealer } from "@weir/sealing";

const REFRESH_MS = 60_000;
const RETRY_MS = 1_000;
const TIMEOUT_MS = 5_000;

/** Seals to audit's transport key, asked for in the background; the last one stays in force while audit is away. */
export class WatchedTransportKey implements AsyncDisposable {
  /** Undefined: the key is not known yet. */
  sealer: Sealer | undefined;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #clock: Clock;
  #publicKey: Uint8Array = new Uint8Array(0);

  constructor(
    client: Pick<Client<typeof audit.ProducerService>, "getTransportKey">,
    clock: Clock,
    onError: (error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#running = this.#run(client, onError);
  }

  async #run(
    client: Pick<Client<typeof audit.ProducerService>, "getTransportKey">,
    onError: (error: unknown) => void,
  ): Promise<void> {
    const { signal } = this.#stop;
    let failing = false;
    while (!signal.aborted) {
      try {
        const { publicKey } = await client.getTransportKey({}, { signal, timeoutMs: TIMEOUT_MS });
        this.#use(publicKey);
        failing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) onError(error);
        failing = true;
      }
      await sleep(failing ? RETRY_MS : REFRESH_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #use(publicKey: Uint8Array): void {
    if (Buffer.compare(publicKey, this.#publicKey) === 0) return;
    this.sealer = createSealer(publicKey, () => this.#clock.monotonicMs());
    this.#publicKey = publicKey;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
