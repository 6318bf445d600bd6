import type { LimitUnit } from "../src/domain/key-policy.ts";

/**
 * One list of what happens to limits, and what must come of it: for domain/gcra.ts's two executions, in memory and in Redis.
 * Times in ms from the start; limits by name; `left` is the whole units that may be taken at once afterwards.
 */
export interface LimitOfVector {
  readonly unit: LimitUnit;
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
}

/** A number: all tokens, of unknown parts. */
export type TokensOfVector = number | { readonly input: number; readonly output: number };

export type VectorStep =
  | {
      readonly atMs: number;
      readonly take: string;
      readonly of: readonly string[];
      readonly tokens?: TokensOfVector;
      readonly refusedBy?: string;
      readonly left: readonly number[];
    }
  | { readonly atMs: number; readonly giveBack: string }
  | { readonly atMs: number; readonly renew: string }
  /** tokens absent: nobody knows. */
  | {
      readonly atMs: number;
      readonly settle: string;
      readonly attempt: number;
      readonly tokens?: TokensOfVector;
      readonly over?: boolean;
    };

export interface Vector {
  readonly name: string;
  readonly limits: Readonly<Record<string, LimitOfVector>>;
  readonly steps: readonly VectorStep[];
}

const perSecond: LimitOfVector = { unit: "requests", amount: 10, windowMs: 10_000, burst: 1 };
const tokens: LimitOfVector = { unit: "tokens", amount: 1000, windowMs: 10_000, burst: 99 };
const input: LimitOfVector = { ...tokens, unit: "input-tokens" };
const output: LimitOfVector = { ...tokens, unit: "output-tokens" };
/** The suite's slots have a lease of 30 s. */
const two: LimitOfVector = { unit: "concurrency", amount: 2, windowMs: 0, burst: 0 };

export const vectors: readonly Vector[] = [
  {
    name: "burst + 1 at once, then the rate",
    limits: { a: perSecond },
    steps: [
      { atMs: 0, take: "1", of: ["a"], left: [1] },
      { atMs: 0, take: "2", of: ["a"], left: [0] },
      { atMs: 0, take: "3", of: ["a"], refusedBy: "a", left: [0] },
      { atMs: 999, take: "4", of: ["a"], refusedBy: "a", left: [0] },
      { atMs: 1000, take: "5", of: ["a"], left: [0] },
      { atMs: 60_000, take: "6", of: ["a"], left: [1] },
    ],
  },
  {
    name: "all limits of a request or none",
    limits: { a: perSecond, b: { ...perSecond, burst: 0 } },
    steps: [
      { atMs: 0, take: "1", of: ["a", "b"], left: [1, 0] },
      { atMs: 0, take: "2", of: ["a", "b"], refusedBy: "b", left: [1, 0] },
      { atMs: 0, take: "3", of: ["b", "a"], refusedBy: "b", left: [0, 1] },
      { atMs: 0, take: "4", of: ["a"], left: [0] },
    ],
  },
  {
    name: "the same request is taken once",
    limits: { a: perSecond },
    steps: [
      { atMs: 0, take: "1", of: ["a"], left: [1] },
      { atMs: 1, take: "1", of: ["a"], left: [1] },
      { atMs: 2, take: "1", of: ["a"], left: [1] },
    ],
  },
  {
    name: "a cost above the burst needs idle time, and leaves a debt",
    limits: { t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["t"], tokens: 1100, left: [0] },
      { atMs: 9_999, take: "2", of: ["t"], tokens: 1, refusedBy: "t", left: [0] },
      { atMs: 10_010, take: "3", of: ["t"], tokens: 1, left: [0] },
      { atMs: 12_000, take: "4", of: ["t"], tokens: 200, refusedBy: "t", left: [100] },
      { atMs: 12_010, take: "5", of: ["t"], tokens: 200, left: [0] },
    ],
  },
  {
    name: "what was given back can be taken again",
    limits: { a: perSecond, t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["a", "t"], tokens: 100, left: [1, 0] },
      { atMs: 0, giveBack: "1" },
      { atMs: 0, take: "2", of: ["a", "t"], tokens: 100, left: [1, 0] },
      { atMs: 500, giveBack: "2" },
      { atMs: 500, giveBack: "2" },
      { atMs: 500, take: "3", of: ["a", "t"], tokens: 90, left: [1, 10] },
    ],
  },
  {
    name: "an estimate is corrected by the first attempt that is settled, further ones add, repeats do nothing",
    limits: { a: perSecond, t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["a", "t"], tokens: 100, left: [1, 0] },
      { atMs: 0, settle: "1", attempt: 1, tokens: 20 },
      { atMs: 0, settle: "1", attempt: 1, tokens: 20 },
      { atMs: 0, take: "2", of: ["t"], tokens: 1, left: [79] },
      { atMs: 0, settle: "1", attempt: 2, tokens: 30 },
      { atMs: 0, settle: "1", attempt: 2, tokens: 30 },
      { atMs: 0, take: "3", of: ["t"], tokens: 1, left: [48] },
    ],
  },
  {
    name: "what time has repaid is not given back a second time",
    limits: { t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["t"], tokens: 100, left: [0] },
      { atMs: 800, take: "2", of: ["t"], tokens: 60, left: [20] },
      { atMs: 900, settle: "1", attempt: 1, tokens: 0 },
      { atMs: 900, take: "3", of: ["t"], tokens: 1, left: [39] },
      { atMs: 1_500, settle: "2", attempt: 1, tokens: 0 },
      // One less than if nothing had been estimated too high: of what time repaid meanwhile nobody can say to whom, so it errs to the safe side.
      { atMs: 1_500, take: "4", of: ["t"], tokens: 1, left: [98] },
    ],
  },
  {
    name: "more than was estimated is taken in addition",
    limits: { t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["t"], tokens: 10, left: [90] },
      { atMs: 0, settle: "1", attempt: 1, tokens: 60 },
      { atMs: 0, take: "2", of: ["t"], tokens: 1, left: [39] },
    ],
  },
  {
    name: "a burst of 0 spaces: one at a time, as long after the last as the rate needs",
    limits: { a: { ...perSecond, burst: 0 }, t: { ...tokens, burst: 0 } },
    steps: [
      { atMs: 0, take: "1", of: ["a"], left: [0] },
      { atMs: 999, take: "2", of: ["a"], refusedBy: "a", left: [0] },
      { atMs: 1000, take: "3", of: ["a"], left: [0] },
      // A thousand tokens are as many as there are in a window: they go after a window without any, once in it.
      { atMs: 1000, take: "4", of: ["t"], tokens: 1000, left: [0] },
      { atMs: 10_999, take: "5", of: ["t"], tokens: 1, refusedBy: "t", left: [0] },
      { atMs: 11_000, take: "6", of: ["t"], tokens: 1, left: [0] },
      { atMs: 20_999, take: "7", of: ["t"], tokens: 1000, refusedBy: "t", left: [1] },
      { atMs: 21_000, take: "8", of: ["t"], tokens: 1000, left: [0] },
    ],
  },
  {
    name: "input and output are counted and corrected apart, together where only their sum is known",
    limits: { t: tokens, i: input, o: output },
    steps: [
      { atMs: 0, take: "1", of: ["t", "i", "o"], tokens: { input: 60, output: 30 }, left: [10, 40, 70] },
      { atMs: 0, settle: "1", attempt: 1, tokens: { input: 50, output: 5 } },
      { atMs: 0, take: "2", of: ["t", "i", "o"], tokens: { input: 1, output: 0 }, left: [44, 49, 95] },
      { atMs: 0, settle: "2", attempt: 1, tokens: 11 },
      { atMs: 0, take: "3", of: ["t", "i", "o"], tokens: { input: 0, output: 1 }, left: [33, 49, 94] },
      { atMs: 0, settle: "3", attempt: 1 },
      { atMs: 0, take: "4", of: ["o", "i", "t"], tokens: { input: 60, output: 0 }, refusedBy: "i", left: [94, 49, 33] },
    ],
  },
  {
    name: "as many at a time as there are slots; who is over frees one, once",
    limits: { c: two },
    steps: [
      { atMs: 0, take: "1", of: ["c"], left: [1] },
      { atMs: 0, take: "2", of: ["c"], left: [0] },
      { atMs: 0, take: "2", of: ["c"], left: [0] },
      { atMs: 1, take: "3", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 2, settle: "1", attempt: 2, tokens: 5 },
      { atMs: 2, take: "3", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 3, settle: "1", attempt: 1, tokens: 5, over: true },
      { atMs: 3, settle: "1", attempt: 1, tokens: 5, over: true },
      { atMs: 3, take: "3", of: ["c"], left: [0] },
      { atMs: 3, take: "4", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 4, giveBack: "3" },
      { atMs: 4, take: "4", of: ["c"], left: [0] },
    ],
  },
  {
    name: "a slot that nobody renews is free when its lease is over, one that is renewed is not",
    limits: { c: two },
    steps: [
      { atMs: 0, take: "1", of: ["c"], left: [1] },
      { atMs: 5_000, take: "2", of: ["c"], left: [0] },
      { atMs: 20_000, renew: "1" },
      { atMs: 34_999, take: "3", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 35_000, take: "3", of: ["c"], left: [0] },
      { atMs: 49_999, take: "4", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 50_000, take: "4", of: ["c"], left: [0] },
    ],
  },
  {
    name: "a request that runs counts again once it says so, though its lease lapsed; one that is over does not",
    limits: { c: two },
    steps: [
      { atMs: 0, take: "1", of: ["c"], left: [1] },
      { atMs: 0, take: "2", of: ["c"], left: [0] },
      { atMs: 31_000, take: "3", of: ["c"], left: [1] },
      { atMs: 32_000, renew: "1" },
      { atMs: 32_000, renew: "2" },
      { atMs: 32_000, take: "4", of: ["c"], refusedBy: "c", left: [0] },
      { atMs: 33_000, settle: "1", attempt: 1, over: true },
      { atMs: 33_000, settle: "2", attempt: 1, over: true },
      { atMs: 33_001, renew: "1" },
      { atMs: 33_001, take: "4", of: ["c"], left: [0] },
    ],
  },
  {
    name: "rates and slots of a request are taken together or not at all",
    limits: { a: perSecond, c: { ...two, amount: 1 }, t: tokens },
    steps: [
      { atMs: 0, take: "1", of: ["a", "c", "t"], tokens: 10, left: [1, 0, 90] },
      { atMs: 0, take: "2", of: ["a", "c", "t"], tokens: 10, refusedBy: "c", left: [1, 0, 90] },
      { atMs: 0, take: "3", of: ["t"], tokens: 90, left: [0] },
      { atMs: 0, settle: "1", attempt: 1, tokens: 10, over: true },
      { atMs: 0, take: "4", of: ["a", "c", "t"], tokens: 1, refusedBy: "t", left: [1, 1, 0] },
      { atMs: 0, take: "5", of: ["a", "c"], left: [0, 0] },
    ],
  },
];
