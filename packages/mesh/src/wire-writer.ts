/**
 * Writes protobuf backwards, from the end of a buffer to its start: a length is known when it is written, as what it measures has been
 * written before. Fields are therefore written last to first.
 */
const FIRST_BYTES = 65_536;
/** Larger than this is not kept for the next message. */
const KEPT_BYTES = 1_048_576;
const SHORT_TEXT = 48;

export class WireWriter {
  private bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** Where the last thing written begins. */
  at = FIRST_BYTES;

  begin(): void {
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.at = this.bytes.length;
  }

  get end(): number {
    return this.bytes.length;
  }

  /** A copy of what was written since `begin`. */
  finish(): Buffer {
    const length = this.bytes.length - this.at;
    const copy = Buffer.allocUnsafe(length);
    this.bytes.copy(copy, 0, this.at);
    return copy;
  }

  /** Bytes from the end, which stays where it is when the buffer grows. */
  get written(): number {
    return this.bytes.length - this.at;
  }

  private need(count: number): void {
    if (this.at < count) this.grow(count);
  }

  private grow(count: number): void {
    const { written } = this;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, written + count + FIRST_BYTES));
    this.bytes.copy(larger, larger.length - written, this.at);
    this.bytes = larger;
    this.at = larger.length - written;
  }

  varint(value: number): void {
    this.need(5);
    const { bytes } = this;
    if (value < 0x80) {
      bytes[--this.at] = value;
      return;
    }
    let at = this.at - (value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5);
    this.at = at;
    let left = value;
    while (left > 0x7f) {
      bytes[at++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    bytes[at] = left;
  }

  /** @throws RangeError */
  uint32(value: number): void {
    if (value >>> 0 !== value) throw new RangeError(`not an unsigned 32-bit integer: ${String(value)}`);
    this.varint(value);
  }

  /** Also for enums. @throws RangeError */
  int32(value: number): void {
    if ((value | 0) !== value) throw new RangeError(`not a 32-bit integer: ${String(value)}`);
    if (value >= 0) this.varint(value);
    else this.varint64(BigInt.asUintN(64, BigInt(value)));
  }

  /** @throws RangeError */
  int64(value: bigint): void {
    // Small amounts, nearly all there are, without arithmetic on bigints. Rounding cannot bring a larger one below this bound.
    const number = Number(value);
    if (typeof value === "bigint" && number >= 0 && number < 0x1_0000_0000) this.varint(number);
    else if (BigInt.asIntN(64, value) !== value) throw new RangeError(`not a 64-bit integer: ${value}`);
    else this.varint64(BigInt.asUintN(64, value));
  }

  /** @throws RangeError */
  uint64(value: bigint): void {
    const number = Number(value);
    if (typeof value === "bigint" && number >= 0 && number < 0x1_0000_0000) this.varint(number);
    else if (BigInt.asUintN(64, value) !== value) throw new RangeError(`not an unsigned 64-bit integer: ${value}`);
    else this.varint64(value);
  }

  private varint64(value: bigint): void {
    this.need(10);
    let low = Number(BigInt.asUintN(32, value));
    let high = Number(value >> 32n);
    // Bits, rounded up to whole groups of seven.
    const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
    const size = Math.max(1, Math.ceil(bits / 7));
    let at = this.at - size;
    this.at = at;
    for (let index = 1; index < size; index++) {
      this.bytes[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.bytes[at] = low;
  }

  bool(value: boolean): void {
    this.need(1);
    this.bytes[--this.at] = value ? 1 : 0;
  }

  double(value: number): void {
    this.need(8);
    this.at -= 8;
    this.bytes.writeDoubleLE(value, this.at);
  }

  /** @throws RangeError for a finite number that is none in 32 bits */
  float(value: number): void {
    if (Number.isFinite(value) && !Number.isFinite(Math.fround(value))) throw new RangeError(`not a float: ${value}`);
    this.need(4);
    this.at -= 4;
    this.bytes.writeFloatLE(value, this.at);
  }

  raw(value: Uint8Array): void {
    this.need(value.length);
    this.at -= value.length;
    this.bytes.set(value, this.at);
  }

  /** With its length. */
  block(value: Uint8Array): void {
    this.raw(value);
    this.varint(value.length);
  }

  /** In UTF-8, with its length. */
  text(value: string): void {
    const { length } = value;
    if (length <= SHORT_TEXT) {
      this.need(length + 1);
      const { bytes } = this;
      const start = this.at - length;
      let index = 0;
      for (; index < length; index++) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        bytes[start + index] = code;
      }
      if (index === length) {
        bytes[start - 1] = length;
        this.at = start - 1;
        return;
      }
    }
    const size = Buffer.byteLength(value);
    this.need(size);
    this.at -= size;
    this.bytes.write(value, this.at, size, "utf8");
    this.varint(size);
  }
}
