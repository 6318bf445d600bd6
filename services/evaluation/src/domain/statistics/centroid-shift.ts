/** Of vectors of length one. */
export interface VectorSums {
  readonly count: number;
  readonly sum: readonly number[];
}

/** Between the means of two samples, 0 to 2. */
export const centroidDistance = (a: VectorSums, b: VectorSums): number =>
  Math.hypot(...a.sum.map((value, at) => value / a.count - (b.sum[at] ?? 0) / b.count));

/**
 * Whether two samples of independent unit vectors have the same mean. If they do, the expected distance of their means is √s at most, s = 1/n + 1/m,
 * and no vector moves it by more than 2/n (2/m): so it is e beyond that with probability exp(-e² / 2s) at most (C. McDiarmid, 1989; for kernels:
 * A. Gretton et al., 2012, Theorem 7). Any number of dimensions, any distribution.
 */
export function centroidShift(a: VectorSums, b: VectorSums): number {
  if (a.count === 0 || b.count === 0 || a.sum.length !== b.sum.length) return 1;
  const s = 1 / a.count + 1 / b.count;
  const beyond = centroidDistance(a, b) - Math.sqrt(s);
  return beyond <= 0 ? 1 : Math.exp(-(beyond ** 2) / (2 * s));
}
