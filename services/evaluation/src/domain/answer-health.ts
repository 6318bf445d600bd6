import { catalogue } from "@weir/kernel";
import type { Assessment, Evaluator, Subject } from "./subject.ts";

const SLOW_ANSWER_MS = 60_000;
const SLOW_FIRST_TOKEN_MS = 10_000;
const SLOW_TOKENS_PER_SECOND = 5;
/** Below this a rate says more about the provider's start than about its speed. */
const RATED_TOKENS = 50;
const PASS = 0.7;

interface Check {
  readonly finding: string;
  /** Taken off the score. */
  readonly weight: number;
  readonly applies: (subject: Subject) => boolean;
}

// Worst first, as findings are listed.
const CHECKS: readonly Check[] = [
  { finding: "error-in-answer", weight: 1, applies: ({ finish }) => finish === "error" },
  {
    finding: "empty-output",
    weight: 0.8,
    applies: ({ finish, outputTokens }) => finish === "stop" && outputTokens === 0,
  },
  { finding: "content-filtered", weight: 0.6, applies: ({ finish }) => finish === "content-filter" },
  { finding: "refused", weight: 0.5, applies: ({ finish }) => finish === "refusal" },
  { finding: "truncated", weight: 0.4, applies: ({ finish }) => finish === "length" },
  { finding: "slow-answer", weight: 0.2, applies: ({ providerMs }) => providerMs > SLOW_ANSWER_MS },
  { finding: "slow-first-token", weight: 0.2, applies: ({ firstTokenMs }) => firstTokenMs > SLOW_FIRST_TOKEN_MS },
  { finding: "slow-generation", weight: 0.1, applies: isSlowGeneration },
];

/** Whether an answer came whole and in time, judged by how it ended. Thresholds are part of the version: to change one is version 2. */
export const answerHealth: Evaluator = {
  name: "answer-health",
  version: 1,
  description:
    "Whether the answer came whole and in time: errors, empty, truncated, filtered and refused answers, and slow ones (fixed thresholds).",
  assess,
};

function assess(subject: Subject): Assessment {
  const missing = whatIsMissing(subject);
  if (missing !== undefined) return { verdict: "not-evaluable", score: 0, findings: [missing] };
  if (subject.ended === "failed") return { verdict: "fail", score: 0, findings: [`failed: ${subject.error}`] };
  const found = CHECKS.filter(({ applies }) => applies(subject));
  // In hundredths: 1 - 0.2 - 0.1 is not 0.7 in binary fractions.
  const lost = found.reduce((sum, { weight }) => sum + Math.round(weight * 100), 0);
  const score = Math.max(0, 100 - lost) / 100;
  return { verdict: score >= PASS ? "pass" : "fail", score, findings: found.map(({ finding }) => finding) };
}

function whatIsMissing(subject: Subject): string | undefined {
  const { ended, error } = subject;
  if (subject.makes === "embedding") return "no-answer-expected";
  if (ended === "unknown") return "end-unknown";
  if (ended === "cancelled") return "cancelled-by-client";
  if (ended === "failed") {
    if (error === undefined) return "error-unknown";
    // What the caller did wrong says nothing about the answer.
    const { status } = catalogue[error];
    return status >= 400 && status < 500 && status !== 429 ? "request-at-fault" : undefined;
  }
  return subject.finish === undefined ? "finish-reason-unknown" : undefined;
}

function isSlowGeneration({ outputTokens, providerMs, firstTokenMs }: Subject): boolean {
  if (outputTokens === undefined || outputTokens < RATED_TOKENS) return false;
  const generatingMs = providerMs - firstTokenMs;
  return generatingMs > 0 && (outputTokens * 1_000) / generatingMs < SLOW_TOKENS_PER_SECOND;
}
