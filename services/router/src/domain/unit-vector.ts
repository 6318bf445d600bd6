/** @returns of length one; undefined for what has no direction */
export function unitVector(values: ArrayLike<number>): Float32Array | undefined {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += (values[at] as number) ** 2;
  const length = Math.sqrt(sum);
  if (!Number.isFinite(length) || length === 0) return undefined;
  const unit = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) unit[at] = (values[at] as number) / length;
  return unit;
}

/** Of two of length one, with as many places. */
export function cosine(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += (one[at] as number) * (other[at] as number);
  // Rounding must not make an equal one better than equal.
  return Math.max(-1, Math.min(1, sum));
}

/** What 32 bits lose: a cosine that is less than wanted by no more is not less. */
export const ROUNDING = 1e-6;
