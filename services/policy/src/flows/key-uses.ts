import type { KeyUse, KeyStore } from "../ports.ts";

/** What is told meanwhile waits: so often the store is written to, however many keys are used. */
const WRITE_MS = 10_000;
/** Beyond this the oldest news are dropped: better than memory without end while the store is away. */
const MOST_WAITING = 100_000;
const PER_WRITE = 2_000;

/**
 * When keys were last used: the newest word per key, written in batches. Fails open: nobody waits for it, and what a dying replica had not
 * written is lost, ten seconds of it.
 */
export class KeyUses implements AsyncDisposable {
  readonly #store: Pick<KeyStore, "recordUses">;
  readonly #waiting = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #onError: (error: unknown) => void;
  #writing: Promise<void> | undefined;

  constructor(store: Pick<KeyStore, "recordUses">, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
    this.#timer = setInterval(() => void this.write(), WRITE_MS).unref();
  }

  add(uses: readonly KeyUse[]): void {
    for (const { keyId, atMs } of uses) {
      if ((this.#waiting.get(keyId) ?? 0) < atMs) this.#waiting.set(keyId, atMs);
    }
    for (const keyId of this.#waiting.keys()) {
      if (this.#waiting.size <= MOST_WAITING) break;
      this.#waiting.delete(keyId);
    }
  }

  /** Writes what is there; one at a time. Never rejects: what could not be written waits for the next time. */
  write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      const batch: KeyUse[] = [];
      for (const [keyId, atMs] of this.#waiting) {
        batch.push({ keyId, atMs });
        if (batch.length === PER_WRITE) break;
      }
      for (const { keyId } of batch) this.#waiting.delete(keyId);
      try {
        await this.#store.recordUses(batch);
      } catch (error) {
        this.add(batch);
        this.#onError(error);
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.write();
  }
}
