/**
 * Quantiles of times, from counts in buckets each a fifth wider than the one before: an answer is at most a fifth too long, whatever was seen.
 * Older times count less: all counts are halved when there are many.
 */
const GROWTH = 1.2;
/** Up to an hour. */
const BUCKETS = Math.ceil(Math.log(3_600_000) / Math.log(GROWTH)) + 1;
const MANY = 1_000;
/** Of fewer there is no tail to speak of. */
const LEAST_SEEN = 20;

export class LatencyQuantile {
  readonly #counts = new Float64Array(BUCKETS);
  #seen = 0;

  note(ms: number): void {
    const bucket = Math.min(BUCKETS - 1, ms <= 1 ? 0 : Math.ceil(Math.log(ms) / Math.log(GROWTH)));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#seen += 1;
    if (this.#seen < MANY) return;
    for (let at = 0; at < BUCKETS; at++) this.#counts[at] = (this.#counts[at] ?? 0) / 2;
    this.#seen /= 2;
  }

  /** The time that a share `q` of all did not exceed; undefined where too few were seen. */
  at(q: number): number | undefined {
    if (this.#seen < LEAST_SEEN) return undefined;
    let below = 0;
    for (let at = 0; at < BUCKETS; at++) {
      below += this.#counts[at] ?? 0;
      if (below >= q * this.#seen) return GROWTH ** at;
    }
    return GROWTH ** (BUCKETS - 1);
  }
}
