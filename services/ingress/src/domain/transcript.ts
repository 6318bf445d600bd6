/** Of request and answer together; with header and seal that fits a frame of the spool many times. */
export const MAX_TEXT_BYTES = 256 << 10;

export interface Body {
  readonly contentType: string;
  /** Undefined: it did not fit. */
  readonly bytes: Uint8Array | undefined;
  readonly size: number;
}

/** What was asked and answered, as far as it fits: each of the two as a whole or not at all, since half a text misleads. */
export class Transcript {
  readonly request: Body;
  readonly #room: number;
  #contentType: string | undefined;
  /** The answer so far, copied: what a stream brings is a view of a buffer many times as large. */
  #bytes: Uint8Array = NOTHING;
  #size = 0;

  constructor(contentType: string, request: Uint8Array) {
    const fits = request.length <= MAX_TEXT_BYTES;
    this.request = { contentType, bytes: fits ? request : undefined, size: request.length };
    this.#room = fits ? MAX_TEXT_BYTES - request.length : MAX_TEXT_BYTES;
  }

  /** The answer, or the next piece of it. */
  add(contentType: string, bytes: Uint8Array): void {
    const at = this.#size;
    this.#contentType = contentType;
    this.#size += bytes.length;
    if (this.#size > this.#room) {
      this.#bytes = NOTHING;
      return;
    }
    if (this.#size > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#room, Math.max(2 * at, this.#size)));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, at);
  }

  /** Undefined: nothing was answered. */
  get answer(): Body | undefined {
    if (this.#contentType === undefined) return undefined;
    const bytes = this.#size <= this.#room ? this.#bytes.subarray(0, this.#size) : undefined;
    return { contentType: this.#contentType, bytes, size: this.#size };
  }
}

const NOTHING = new Uint8Array(0);
