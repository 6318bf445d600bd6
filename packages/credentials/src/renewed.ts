/** A value that expires: a token, temporary keys. */
export interface Renewable<T> {
  readonly value: T;
  /** Infinity: never. */
  readonly expiresAtMs: number;
}

/** So long before it expires another is fetched, while the old one is still used; of a short life the last fifth. */
const MARGIN_MS = 5 * 60_000;
/** How long after a renewal, failed or refused, the next is tried. */
const RETRY_MS = 10_000;

/**
 * Keeps one value and renews it before it expires. Whoever asks while none is valid waits for the same fetch; a fetch that fails fails
 * those who wait for it, and the next to ask starts another.
 */
export class Renewed<T> {
  readonly #fetch: () => Promise<Renewable<T>>;
  readonly #nowMs: () => number;
  #held: Renewable<T> | undefined;
  #renewAtMs = 0;
  #takenAtMs = 0;
  #running: Promise<T> | undefined;

  constructor(fetch: () => Promise<Renewable<T>>, nowMs: () => number) {
    this.#fetch = fetch;
    this.#nowMs = nowMs;
  }

  /** A promise only where no value is valid now. */
  get(): T | Promise<T> {
    const nowMs = this.#nowMs();
    const held = this.#held;
    if (held === undefined || held.expiresAtMs <= nowMs) return this.#renewed();
    if (nowMs >= this.#renewAtMs && this.#running === undefined) {
      this.#renewAtMs = nowMs + RETRY_MS;
      // The old value holds until it expires; who asks then is told why there is no other.
      this.#renewed().catch(() => undefined);
    }
    return held.value;
  }

  /** What is held now; it may have expired. */
  get held(): T | undefined {
    return this.#held?.value;
  }

  /** It was refused, though it had not expired: the next to ask gets another. What was just taken would only be taken again. */
  drop(): void {
    if (this.#nowMs() - this.#takenAtMs >= RETRY_MS) this.#held = undefined;
  }

  #renewed(): Promise<T> {
    this.#running ??= this.#take().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #take(): Promise<T> {
    const { value, expiresAtMs: told } = await this.#fetch();
    const nowMs = this.#nowMs();
    // A date that cannot be read says nothing: it must not make a value that is never renewed.
    const got = { value, expiresAtMs: Number.isNaN(told) ? nowMs + MARGIN_MS : told };
    const lifeMs = got.expiresAtMs - nowMs;
    this.#held = got;
    this.#takenAtMs = nowMs;
    this.#renewAtMs = got.expiresAtMs - Math.min(MARGIN_MS, lifeMs / 5);
    return got.value;
  }
}
