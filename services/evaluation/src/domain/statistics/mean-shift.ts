/** Of values from 0 to 1. */
export interface Sums {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
}

export const meanOf = ({ count, sum }: Sums): number => (count === 0 ? 0 : sum / count);

/**
 * Whether two samples of independent values from 0 to 1 have the same mean, whatever their distributions: the empirical Bernstein bound (A. Maurer &
 * M. Pontil, 2009, Theorem 4) on both sides of both means, turned into a p-value. For equal means it is at or below p with probability p at
 * most, at every size: no distribution is assumed, and rare bad scores are no surprise.
 */
export function meanShift(a: Sums, b: Sums): number {
  if (a.count < 2 || b.count < 2) return 1;
  const distance = Math.abs(meanOf(a) - meanOf(b));
  // The radii of both at t = ln(2 / delta): spread × √t + bias × t. Solved for t where they just reach the distance.
  const spread = Math.SQRT2 * (Math.sqrt(varianceOf(a) / a.count) + Math.sqrt(varianceOf(b) / b.count));
  const bias = (7 / 3) * (1 / (a.count - 1) + 1 / (b.count - 1));
  const root = (Math.sqrt(spread ** 2 + 4 * bias * distance) - spread) / (2 * bias);
  // Four sides, each beyond its radius with probability delta = 2 e^-t.
  return Math.min(1, 8 * Math.exp(-(root ** 2)));
}

const varianceOf = ({ count, sum, squares }: Sums): number => Math.max(0, (squares - sum ** 2 / count) / (count - 1));
