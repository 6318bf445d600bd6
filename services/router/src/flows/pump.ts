import type { AnswerHeaders, AnswerSink, Exchange, TransportFailure } from "../ports.ts";

/** Bytes that wait here before the provider is made to wait: so much a slow client costs in memory, and no more. */
const HIGH_WATER_BYTES = 256 * 1024;

/** Turns what a provider pushes into what a flow pulls, and stops the provider when the flow lags. */
export class Pump implements AnswerSink {
  exchange: Exchange | undefined;
  #status = 0;
  #headers: AnswerHeaders | undefined;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #paused = false;
  #ended = false;
  #failure: TransportFailure | undefined;
  #wake: (() => void) | undefined;

  get status(): number {
    return this.#status;
  }

  get headers(): AnswerHeaders | undefined {
    return this.#headers;
  }

  /** Why the bytes ended, if not by themselves. */
  get failure(): TransportFailure | undefined {
    return this.#failure;
  }

  /** Resolves when the head is there, or the exchange failed before. */
  async opened(): Promise<void> {
    while (this.#headers === undefined && !this.#ended) await this.#news();
  }

  /** What came since the last time, at least one chunk; undefined when nothing more will come. Not before `opened`. */
  async next(): Promise<readonly Uint8Array[] | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#ended) return undefined;
      await this.#news();
    }
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    if (this.#paused) {
      this.#paused = false;
      this.exchange?.resume();
    }
    return chunks;
  }

  head(status: number, headers: AnswerHeaders): void {
    this.#status = status;
    this.#headers = headers;
    this.#stir();
  }

  data(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.exchange?.pause();
    }
    this.#stir();
  }

  end(): void {
    this.#ended = true;
    this.#stir();
  }

  error(failure: TransportFailure): void {
    this.#failure = failure;
    this.#ended = true;
    this.#stir();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #stir(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
