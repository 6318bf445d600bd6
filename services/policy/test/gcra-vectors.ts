/**
 * One list of what happens to limits, and what must come of it: for domain/gcra.ts's two executions, in memory and in Redis.
 * Times in ms from the start; limits by name; `left` is the whole units that may be taken at once afterwards.
 */
export interface LimitOfVector {
  readonly unit: "requests" | "tokens";
  readonly amount: number;
  readonly windowMs: number;
  readonly burst: number;
}

export type VectorStep =
  | {
      readonly atMs: number;
      readonly take: string;
      readonly of: readonly string[];
      readonly tokens?: number;
      readonly refusedBy?: string;
      readonly left: readonly number[];
    }
  | { readonly atMs: number; readonly giveBack: string }
  | { readonly atMs: number; readonly settle: string; readonly attempt: number; readonly tokens: number };

export interface Vector {
  readonly name: string;
  readonly limits: Readonly<Record<string, LimitOfVector>>;
  readonly steps: readonly VectorStep[];
}

const perSecond: LimitOfVector = { unit: "requests", amount: 10, windowMs: 10_000, burst: 1 };
const tokens: LimitOfVector = { unit: "tokens", amount: 1000, windowMs: 10_000, burst: 99 };

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
      { atMs: 1_500, take: "4", of: ["t"], tokens: 1, left: [99] },
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
];
