/**
 * How many of a target's calls went wrong lately, or were too slow: what opens its breaker where failures are mixed with successes, so that no
 * five come in a row. Counts that fade by half in ten seconds; a target that is hardly called is not judged.
 */
const HALF_MS = 10_000;
/** As many calls, faded, must have been seen. */
const LEAST_SEEN = 20;
const SHARE_TO_OPEN = 0.5;

/** Changes in place: it is written for every call. */
export class OutcomeRate {
  #seen = 0;
  #bad = 0;
  #atMs = 0;

  /** @returns whether too many are bad now */
  note(bad: boolean, nowMs: number): boolean {
    const kept = 0.5 ** (Math.max(0, nowMs - this.#atMs) / HALF_MS);
    this.#atMs = Math.max(nowMs, this.#atMs);
    this.#seen = this.#seen * kept + 1;
    this.#bad = this.#bad * kept + (bad ? 1 : 0);
    return this.#seen >= LEAST_SEEN && this.#bad >= this.#seen * SHARE_TO_OPEN;
  }

  /** What was before is not held against a target that came back. */
  forget(): void {
    this.#seen = 0;
    this.#bad = 0;
  }
}
