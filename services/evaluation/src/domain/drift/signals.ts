import { fisher } from "../statistics/fisher.ts";
import { centroidDistance, centroidShift, type VectorSums } from "../statistics/centroid-shift.ts";
import { meanOf, meanShift, type Sums } from "../statistics/mean-shift.ts";

/** What was seen of one model of one workspace in a time. */
export interface Seen {
  /** By evaluator, "NAME@VERSION". */
  readonly scores: ReadonlyMap<string, Sums>;
  readonly refusals: { readonly count: number; readonly hits: number };
  /** Of `lengthShare`. */
  readonly lengths: Sums;
  /** By the model that embeds. */
  readonly embeddings: ReadonlyMap<string, VectorSums>;
}

export interface Drift {
  readonly signal: "score" | "refusals" | "length" | "embedding";
  readonly by: string;
  readonly referenceCount: number;
  readonly windowCount: number;
  readonly referenceValue: number;
  readonly windowValue: number;
  /** 1 where there is too little to say anything. */
  readonly pValue: number;
}

const LOG_LONGEST = 16;

/** The logarithm of a number of tokens as a share of that of 65,535: twice as long is always the same step. */
export const lengthShare = (tokens: number): number => Math.min(1, Math.log2(1 + tokens) / LOG_LONGEST);
const tokensOf = (share: number): number => 2 ** (share * LOG_LONGEST) - 1;

const NO_SUMS: Sums = { count: 0, sum: 0, squares: 0 };

export function driftsOf(reference: Seen, window: Seen): Drift[] {
  const drifts: Drift[] = [];
  for (const by of new Set([...reference.scores.keys(), ...window.scores.keys()])) {
    const [before, now] = [reference.scores.get(by) ?? NO_SUMS, window.scores.get(by) ?? NO_SUMS];
    drifts.push({ ...means("score", by, before, now), referenceValue: meanOf(before), windowValue: meanOf(now) });
  }
  const [before, now] = [reference.refusals, window.refusals];
  drifts.push({
    signal: "refusals",
    by: "",
    referenceCount: before.count,
    windowCount: now.count,
    referenceValue: before.count === 0 ? 0 : before.hits / before.count,
    windowValue: now.count === 0 ? 0 : now.hits / now.count,
    pValue: fisher(before.hits, before.count, now.hits, now.count),
  });
  drifts.push({
    ...means("length", "", reference.lengths, window.lengths),
    referenceValue: tokensOf(meanOf(reference.lengths)),
    windowValue: tokensOf(meanOf(window.lengths)),
  });
  for (const [by, after] of window.embeddings) {
    const earlier = reference.embeddings.get(by);
    if (earlier === undefined) continue;
    drifts.push({
      signal: "embedding",
      by,
      referenceCount: earlier.count,
      windowCount: after.count,
      referenceValue: 0,
      windowValue: centroidDistance(earlier, after),
      pValue: centroidShift(earlier, after),
    });
  }
  return drifts;
}

const means = (signal: "score" | "length", by: string, before: Sums, now: Sums) => ({
  signal,
  by,
  referenceCount: before.count,
  windowCount: now.count,
  pValue: meanShift(before, now),
});

/** By Bonferroni: whatever the signals have to do with each other, the chance that any of them is false is `alpha` at most. */
export const alarmLevel = (alpha: number, tests: number): number => alpha / Math.max(1, tests);
