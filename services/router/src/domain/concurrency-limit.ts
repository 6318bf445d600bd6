/**
 * How many calls a target should have at once: a number, or what its answers' times say. As in Netflix's "concurrency-limits" (Gradient2,
 * 2018): while what was seen lately takes no longer than usual there is room for more; where it takes half as long again, calls wait for each
 * other at the provider, and fewer are better. What is usual is measured with half as many calls now and then: an average that went along with
 * the load would find any load usual. A provider that says it is overloaded is believed at once.
 */
export interface ConcurrencyLimit {
  /** At least 1. */
  readonly limit: number;
  /** @param inFlight with the one that is over */
  answered(stream: boolean, ms: number, inFlight: number): void;
  overloaded(): void;
}

export const fixedLimit = (limit: number): ConcurrencyLimit => ({
  limit,
  answered: () => undefined,
  overloaded: () => undefined,
});

const FIRST_LIMIT = 20;
const MOST = 1_000;
/** Answers differ in length. */
const TOLERANCE = 1.5;
const LEAST_GRADIENT = 0.5;
const SMOOTHING = 0.2;
const BACK_OFF = 0.9;
/** Of so many answers the recent time is an average. */
const SHORT = 20;
/** After so many answers it is measured anew what is usual, by so many. */
const ROUND = 1_000;
const MEASURED = 20;
/** Of fewer nothing follows. */
const LEAST_MEASURED = 5;

class Times {
  /** 0: unknown. */
  #usual = 0;
  #recent = 0;
  #sum = 0;
  #count = 0;

  measure(ms: number): void {
    this.#sum += ms;
    this.#count += 1;
  }

  measured(): void {
    if (this.#count >= LEAST_MEASURED) this.#usual = this.#recent = Math.max(this.#sum / this.#count, 0.1);
    this.#sum = this.#count = 0;
  }

  /** @returns 1: as fast as usual; less: slower */
  gradient(ms: number): number {
    if (this.#usual === 0) return 1;
    this.#recent += (ms - this.#recent) / SHORT;
    return Math.max(LEAST_GRADIENT, Math.min(1, (TOLERANCE * this.#usual) / this.#recent));
  }
}

export class AdaptiveLimit implements ConcurrencyLimit {
  readonly #whole = new Times();
  readonly #firstContent = new Times();
  #limit = FIRST_LIMIT;
  /** How many answers are still to be measured. */
  #measuring = MEASURED;
  /** What it goes back to then. */
  #kept = FIRST_LIMIT;
  #answers = 0;

  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  answered(stream: boolean, ms: number, inFlight: number): void {
    const times = stream ? this.#firstContent : this.#whole;
    if (this.#measuring > 0) {
      // It began when more were allowed.
      if (inFlight > this.limit) return;
      times.measure(ms);
      this.#measuring -= 1;
      if (this.#measuring > 0) return;
      this.#whole.measured();
      this.#firstContent.measured();
      this.#limit = this.#kept;
      return;
    }
    this.#answers += 1;
    if (this.#answers >= ROUND) {
      this.#answers = 0;
      this.#measuring = MEASURED;
      this.#kept = this.#limit;
      this.#limit = Math.max(1, this.#limit / 2);
      return;
    }
    const gradient = times.gradient(ms);
    // Of few calls' times nothing follows for many.
    if (inFlight < this.#limit / 2) return;
    const next = this.#limit * gradient + Math.sqrt(this.#limit);
    this.#limit = Math.max(1, Math.min(MOST, this.#limit * (1 - SMOOTHING) + next * SMOOTHING));
  }

  overloaded(): void {
    this.#limit = Math.max(1, this.#limit * BACK_OFF);
    this.#kept = Math.max(1, this.#kept * BACK_OFF);
  }
}
