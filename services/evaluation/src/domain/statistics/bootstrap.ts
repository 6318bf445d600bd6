import type { SeededRandom } from "./random.ts";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * A percentile bootstrap of a mean (B. Efron, 1979): resamples with replacement, and takes the middle of their means. Done in steps, so that
 * whoever runs it can let others go on in between; the steps' size changes nothing in the result.
 */
export class Bootstrap {
  private readonly values: Float64Array;
  private readonly random: SeededRandom;
  private readonly means: Float64Array;
  private done = 0;
  private drawn = 0;
  private sum = 0;

  /** @param values at least one */
  constructor(values: Float64Array, resamples: number, random: SeededRandom) {
    this.values = values;
    this.random = random;
    this.means = new Float64Array(resamples);
  }

  /** @returns whether there is more to draw */
  step(draws: number): boolean {
    const { values, means, random } = this;
    const count = values.length;
    for (let left = draws; left > 0 && this.done < means.length; left--) {
      this.sum += values[random.below(count)] ?? 0;
      if (++this.drawn < count) continue;
      means[this.done++] = this.sum / count;
      this.drawn = 0;
      this.sum = 0;
    }
    return this.done < means.length;
  }

  /** The middle `level` (0.95) of the means. Only once all is drawn. */
  interval(level: number): Interval {
    const sorted = this.means.toSorted();
    const tail = (1 - level) / 2;
    return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
  }
}

/** Between the two nearest, in proportion (R. Hyndman & Y. Fan, 1996, type 7). */
function quantile(sorted: Float64Array, at: number): number {
  const position = (sorted.length - 1) * at;
  const below = Math.floor(position);
  const low = sorted[below] ?? 0;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low;
  return low + (high - low) * (position - below);
}
