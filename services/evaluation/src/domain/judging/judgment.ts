import type { Assessment } from "../subject.ts";

/** What somebody who was asked said of a content. */
export type Judgment =
  | { readonly score: number; readonly passed: boolean; readonly findings: readonly string[] }
  /** No verdict: it refused, or what it said is in no form that can be read. Never a score. */
  | { readonly score: undefined; readonly findings: readonly string[] };

export const unjudged = (finding: string): Judgment => ({ score: undefined, findings: [finding] });

export const scored = (score: number, passAt: number, findings: readonly string[] = []): Judgment => ({
  score,
  passed: score >= passAt,
  findings,
});

export function assessmentOf(judgment: Judgment): Assessment {
  const { findings } = judgment;
  if (judgment.score === undefined) return { verdict: "unjudged", score: 0, findings };
  return { verdict: judgment.passed ? "pass" : "fail", score: judgment.score, findings };
}
