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
  #room: number;
  #contentType: string | undefined;
  #pieces: Uint8Array[] = [];
  #size = 0;

  constructor(contentType: string, request: Uint8Array) {
    const fits = request.length <= MAX_TEXT_BYTES;
    this.request = { contentType, bytes: fits ? request : undefined, size: request.length };
    this.#room = fits ? MAX_TEXT_BYTES - request.length : MAX_TEXT_BYTES;
  }

  /** The answer, or the next piece of it. */
  add(contentType: string, bytes: Uint8Array): void {
    this.#contentType = contentType;
    this.#size += bytes.length;
    // A copy (slice() of a Buffer is none): what a stream brings is a view of a buffer many times as large.
    if (this.#size <= this.#room) this.#pieces.push(new Uint8Array(bytes));
    else this.#pieces = [];
  }

  /** Undefined: nothing was answered. */
  get answer(): Body | undefined {
    if (this.#contentType === undefined) return undefined;
    const bytes = this.#size <= this.#room ? joined(this.#pieces, this.#size) : undefined;
    return { contentType: this.#contentType, bytes, size: this.#size };
  }
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = pieces;
  if (pieces.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
