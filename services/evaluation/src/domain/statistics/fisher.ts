/**
 * Fisher's exact test (R. Fisher, 1935): whether two groups have the same share of hits. Given all hits, those of the first group are hypergeometric;
 * two-sided by doubling the smaller tail. It is never more often below a level than that level says, at any size.
 * @returns the p-value, 0 to 1
 */
export function fisher(hits1: number, count1: number, hits2: number, count2: number): number {
  const hits = hits1 + hits2;
  const all = count1 + count2;
  if (count1 === 0 || count2 === 0 || hits === 0 || hits === all) return 1;
  const least = Math.max(0, hits - count2);
  const most = Math.min(hits, count1);
  return Math.min(1, 2 * Math.min(tail(hits1, least, -1), tail(hits1, most, 1)));

  /** The probability of `from` and all beyond it, towards `end`. */
  function tail(from: number, end: number, step: 1 | -1): number {
    const probability = Math.exp(logChoose(count1, from) + logChoose(count2, hits - from) - logChoose(all, hits));
    let sum = 1;
    let term = 1;
    for (let k = from; k !== end; k += step) {
      // Of the next one to this one.
      const ratio =
        step === 1
          ? ((count1 - k) * (hits - k)) / ((k + 1) * (count2 - hits + k + 1))
          : (k * (count2 - hits + k)) / ((count1 - k + 1) * (hits - k + 1));
      term *= ratio;
      sum += term;
      // What follows falls faster than a geometric series.
      if (ratio < 1 && term * ratio <= sum * Number.EPSILON * (1 - ratio)) break;
    }
    return Math.min(1, probability * sum);
  }
}

const logChoose = (n: number, k: number): number => logFactorial(n) - logFactorial(k) - logFactorial(n - k);

const SMALL = Array.from({ length: 256 }, () => 0);
for (let n = 1; n < SMALL.length; n++) SMALL[n] = (SMALL[n - 1] ?? 0) + Math.log(n);

/** Stirling's series from 256 on: its next term is below 1e-15 there. */
function logFactorial(n: number): number {
  const small = SMALL[n];
  if (small !== undefined) return small;
  return (n + 0.5) * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * n) - 1 / (360 * n ** 3);
}
