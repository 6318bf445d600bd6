/** Reads protobuf. Everything throws a RangeError for bytes that end too early or cannot be. */

const MAX_DEPTH = 100;
const SHORT_TEXT = 16;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const WIRE_VARINT = 0;
export const WIRE_64 = 1;
export const WIRE_BLOCK = 2;
export const WIRE_START = 3;
export const WIRE_END = 4;
export const WIRE_32 = 5;

export class WireReader {
  at = 0;
  private readonly bytes: Buffer;
  private end: number;
  private depth = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  get more(): boolean {
    return this.at < this.end;
  }

  /** Enters a block: `more` is then about it. Returns what `leave` needs. */
  enter(): number {
    const length = this.varint();
    const before = this.end;
    if (length > before - this.at) throw new RangeError("a block longer than what is left");
    if (++this.depth > MAX_DEPTH) throw new RangeError(`messages nested more than ${MAX_DEPTH} deep`);
    this.end = this.at + length;
    return before;
  }

  leave(before: number): void {
    if (this.at !== this.end) throw new RangeError("a value longer than its block");
    this.end = before;
    this.depth--;
  }

  private byte(): number {
    if (this.at >= this.end) throw new RangeError("the bytes end too early");
    return this.bytes[this.at++] as number;
  }

  private take(count: number): number {
    const start = this.at;
    if (count > this.end - start) throw new RangeError("the bytes end too early");
    this.at = start + count;
    return start;
  }

  /** The low 32 bits of a varint, unsigned. */
  varint(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    for (let index = 0; index < 5; index++) if (this.byte() < 0x80) return value >>> 0;
    throw new RangeError("a varint of more than ten bytes");
  }

  int32(): number {
    return this.varint() | 0;
  }

  bool(): boolean {
    let any = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.byte();
      any |= byte & 0x7f;
      if (byte < 0x80) return any !== 0;
    }
    throw new RangeError("a varint of more than ten bytes");
  }

  uint64(): bigint {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.byte();
      const bits = byte & 0x7f;
      const shift = index * 7;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte >= 0x80) continue;
      const top = high >>> 0;
      if (top < 0x200000) return BigInt(top * 0x1_0000_0000 + (low >>> 0));
      return (BigInt(top) << 32n) | BigInt(low >>> 0);
    }
    throw new RangeError("a varint of more than ten bytes");
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  double(): number {
    return this.bytes.readDoubleLE(this.take(8));
  }

  float(): number {
    return this.bytes.readFloatLE(this.take(4));
  }

  /** A view of the bytes that are read, not a copy. */
  block(): Buffer {
    const length = this.varint();
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  /** @throws TypeError for what is not UTF-8 */
  text(): string {
    const length = this.varint();
    const start = this.take(length);
    if (length === 0) return "";
    const { bytes } = this;
    const end = start + length;
    if (length <= SHORT_TEXT) {
      let text = "";
      let at = start;
      for (; at < end; at++) {
        const byte = bytes[at] as number;
        if (byte > 0x7f) break;
        text += String.fromCharCode(byte);
      }
      if (at === end) return text;
    }
    const text = bytes.toString("utf8", start, end);
    // Either it was in the text, or the bytes were no UTF-8.
    return text.includes("\ufffd") ? strict.decode(bytes.subarray(start, end)) : text;
  }

  /** Passes over a value of an unknown field and returns its bytes, a block's length and a group's end included. */
  skip(wireType: number, fieldNumber: number): Buffer {
    const start = this.at;
    this.pass(wireType, fieldNumber, MAX_DEPTH - this.depth);
    return this.bytes.subarray(start, this.at);
  }

  private pass(wireType: number, fieldNumber: number, depthLeft: number): void {
    switch (wireType) {
      case WIRE_VARINT:
        this.uint64();
        return;
      case WIRE_64:
        this.take(8);
        return;
      case WIRE_BLOCK:
        this.take(this.varint());
        return;
      case WIRE_32:
        this.take(4);
        return;
      case WIRE_START:
        if (depthLeft <= 0) throw new RangeError(`groups nested more than ${MAX_DEPTH} deep`);
        for (;;) {
          const tag = this.varint();
          if ((tag & 7) === WIRE_END) {
            if (tag >>> 3 !== fieldNumber) throw new RangeError("the end of another group");
            return;
          }
          this.pass(tag & 7, tag >>> 3, depthLeft - 1);
        }
      default:
        throw new RangeError(`a wire type that does not exist: ${wireType}`);
    }
  }
}
