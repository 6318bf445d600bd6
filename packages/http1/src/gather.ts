const EMPTY = Buffer.alloc(0);

/** Puts pieces together in linear time: a body that arrives byte by byte costs neither a buffer a byte nor a copy of all that came before. */
export class Gather {
  length = 0;
  private buffer: Buffer = EMPTY;
  private owned = false;

  append(bytes: Buffer, start: number, end: number): void {
    const added = end - start;
    if (added === 0) return;
    if (this.length === 0) {
      // The first piece is often the whole: kept as it is, without a copy.
      this.buffer = bytes.subarray(start, end);
      this.owned = false;
      this.length = added;
      return;
    }
    if (!this.owned || this.length + added > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.length + added, this.length * 2, 4096));
      larger.set(this.buffer.subarray(0, this.length));
      this.buffer = larger;
      this.owned = true;
    }
    this.buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.length);
    this.length += added;
  }

  /** All of it; begins anew. */
  take(): Buffer {
    const whole = this.buffer.subarray(0, this.length);
    this.buffer = EMPTY;
    this.length = 0;
    return whole;
  }
}
