/** Numbers that look random and are the same for the same seed, on every machine. */
export class SeededRandom {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** sfc32 (C. Doty-Humphrey, PractRand): 128 bits of state, 32-bit arithmetic only. @param seed a whole number, 0 to 2^53 - 1 */
  constructor(seed: number) {
    this.a = 0;
    this.b = Math.floor(seed / 0x1_0000_0000) | 0;
    this.c = seed | 0;
    // Its author's way of mixing a seed of 64 bits in.
    for (let round = 0; round < 12; round++) this.next32();
  }

  /** 0 to 2^32 - 1. */
  next32(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.counter |= 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** 0 to n - 1, each as likely as the others: what would favour the first ones is drawn again. @param n 1 to 2^32 */
  below(n: number): number {
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % n);
    for (;;) {
      const drawn = this.next32();
      if (drawn < limit) return drawn % n;
    }
  }
}
