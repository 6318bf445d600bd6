import { HttpSyntaxError } from "./errors.ts";

/** Gets the bytes from `start` to `end` of `bytes`, as part of a body. */
export type BodySink = (bytes: Buffer, start: number, end: number) => void;

type State =
  | "size"
  | "size-lf"
  | "data"
  | "data-cr"
  | "data-lf"
  | "trailer"
  | "trailer-text"
  | "trailer-lf"
  | "last-lf";

const HEX = new Int8Array(256).fill(-1);
for (let value = 0; value < 16; value++) {
  HEX[value.toString(16).charCodeAt(0)] = value;
  HEX[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}
const MAX_SIZE_DIGITS = 8;
const MAX_TRAILER_BYTES = 8192;

/**
 * The chunked transfer coding (RFC 9112 §7.1), a byte at a time, so that nothing is kept and nothing is read twice however it is cut.
 * Chunk extensions are refused: nobody sends them but those who want two readers to disagree. Trailers are checked and dropped.
 */
export class ChunkedDecoder {
  private state: State = "size";
  private left = 0;
  private digits = 0;
  private trailerBytes = 0;

  /** Reads on from `from`. Returns the index behind the end of the body, or -1 if there is more to come. @throws HttpSyntaxError */
  feed(bytes: Buffer, from: number, sink: BodySink): number {
    let at = from;
    while (at < bytes.length) {
      if (this.state === "data") {
        const end = Math.min(at + this.left, bytes.length);
        sink(bytes, at, end);
        this.left -= end - at;
        at = end;
        if (this.left === 0) this.state = "data-cr";
        continue;
      }
      const byte = bytes[at++] as number;
      if (this.state === "size") this.size(byte);
      else if (this.step(byte)) return at;
    }
    return -1;
  }

  private size(byte: number): void {
    const digit = HEX[byte] as number;
    if (digit >= 0) {
      if (++this.digits > MAX_SIZE_DIGITS) throw new HttpSyntaxError("chunk size too large");
      this.left = this.left * 16 + digit;
    } else if (byte === 13 && this.digits > 0) {
      this.state = "size-lf";
    } else {
      throw new HttpSyntaxError("malformed chunk size");
    }
  }

  /** Everything but data and size digits; true at the end of the body. */
  private step(byte: number): boolean {
    switch (this.state) {
      case "size-lf":
        this.expect(byte, 10);
        this.digits = 0;
        this.state = this.left === 0 ? "trailer" : "data";
        return false;
      case "data-cr":
        this.expect(byte, 13);
        this.state = "data-lf";
        return false;
      case "data-lf":
        this.expect(byte, 10);
        this.state = "size";
        return false;
      case "trailer":
        if (byte === 13) this.state = "last-lf";
        else if (byte <= 0x20 || byte === 0x3a || byte >= 0x7f) throw new HttpSyntaxError("malformed trailer");
        else this.state = "trailer-text";
        return false;
      case "trailer-text":
        if (++this.trailerBytes > MAX_TRAILER_BYTES) throw new HttpSyntaxError("trailers too large");
        if (byte === 13) this.state = "trailer-lf";
        else if ((byte < 0x20 && byte !== 9) || byte === 0x7f) throw new HttpSyntaxError("malformed trailer");
        return false;
      case "trailer-lf":
        this.expect(byte, 10);
        this.state = "trailer";
        return false;
      case "last-lf":
        this.expect(byte, 10);
        return true;
      case "data":
      case "size":
        throw new TypeError("read elsewhere");
    }
  }

  private expect(byte: number, wanted: number): void {
    if (byte !== wanted) throw new HttpSyntaxError("malformed chunk");
  }
}
