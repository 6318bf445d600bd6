/**
 * McNemar's test for paired yes/no outcomes, exact: under "no difference", of the pairs that changed each way is as likely as the other,
 * so the smaller count is Binomial(n, 1/2) (Q. McNemar, 1947; exact form: A. Agresti, Categorical Data Analysis, §11.1). Two-sided, by
 * doubling. Exact at every count: the sum has at most n / 2 terms, and needs no approximation for large ones.
 * @param lost pairs that passed before and fail now
 * @param gained pairs that failed before and pass now
 * @returns the p-value, 0 to 1; 1 where nothing changed
 */
export function mcnemar(lost: number, gained: number): number {
  const changed = lost + gained;
  const least = Math.min(lost, gained);
  if (2 * least >= changed - 1) return 1;
  // From the largest term down, each by its ratio to the one before, until nothing is added any more.
  let logLargest = -changed * Math.LN2;
  for (let k = 1; k <= least; k++) logLargest += Math.log((changed - least + k) / k);
  let sum = 1;
  let term = 1;
  for (let k = least; k > 0 && term > sum * Number.EPSILON; k--) {
    term *= k / (changed - k + 1);
    sum += term;
  }
  return Math.min(1, 2 * sum * Math.exp(logLargest));
}
