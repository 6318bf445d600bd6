import { merged, type NumberRange } from "./numbers.ts";

const MERGE_AT = 1_000;

/** A set of numbers from 0 on, whose memory grows with its gaps. Numbers that come in order cost nothing. */
export class Ranges {
  #ranges: NumberRange[] = [];
  #loose = 0;

  add(first: number, last = first): void {
    const end = this.#ranges.at(-1);
    if (this.#loose === 0 && end !== undefined && first >= end.first && first <= end.last + 1) {
      this.#ranges[this.#ranges.length - 1] = { first: end.first, last: Math.max(end.last, last) };
      return;
    }
    this.#ranges.push({ first, last });
    if (this.#ranges.length > 1 && (end?.last ?? 0) >= first - 1) this.#loose += 1;
    if (this.#loose >= MERGE_AT) this.sorted();
  }

  /** Sorted and apart. */
  sorted(): readonly NumberRange[] {
    if (this.#loose > 0) {
      // merged() leaves out what begins below 1.
      const shifted = this.#ranges.map(({ first, last }) => ({ first: first + 1, last: last + 1 }));
      this.#ranges = merged(shifted).map(({ first, last }) => ({ first: first - 1, last: last - 1 }));
      this.#loose = 0;
    }
    return this.#ranges;
  }

  get count(): number {
    return this.sorted().reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }
}
