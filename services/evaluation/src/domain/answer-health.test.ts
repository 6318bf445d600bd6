import fc from "fast-check";
import { expect, test } from "vitest";
import { answerHealth } from "./answer-health.ts";
import type { Subject } from "./subject.ts";

const good: Subject = {
  requestId: "r",
  workspaceId: "w",
  model: "m",
  ofEvaluation: false,
  endedMs: 1,
  ended: "succeeded",
  error: undefined,
  makes: "answer",
  finish: "stop",
  outputTokens: 120,
  providerMs: 2_000,
  firstTokenMs: 300,
};

const assess = (change: Partial<Subject>) => answerHealth.assess({ ...good, ...change });

test("a whole answer in time is healthy, also one that calls tools", () => {
  expect(assess({})).toEqual({ verdict: "pass", score: 1, findings: [] });
  expect(assess({ finish: "tool-calls", outputTokens: 0 })).toEqual({ verdict: "pass", score: 1, findings: [] });
});

test.each<[Partial<Subject>, string, number, string[]]>([
  [{ ended: "failed", error: "provider_timeout" }, "fail", 0, ["failed: provider_timeout"]],
  [{ ended: "failed", error: "provider_rate_limited" }, "fail", 0, ["failed: provider_rate_limited"]],
  [{ finish: "error" }, "fail", 0, ["error-in-answer"]],
  [{ outputTokens: 0 }, "fail", 0.2, ["empty-output"]],
  [{ finish: "content-filter" }, "fail", 0.4, ["content-filtered"]],
  [{ finish: "refusal" }, "fail", 0.5, ["refused"]],
  [{ finish: "length" }, "fail", 0.6, ["truncated"]],
  [{ providerMs: 60_001, outputTokens: 5_000 }, "pass", 0.8, ["slow-answer"]],
  [{ firstTokenMs: 10_001, providerMs: 11_000 }, "pass", 0.8, ["slow-first-token"]],
  [{ providerMs: 30_000 }, "pass", 0.9, ["slow-generation"]],
  [{ providerMs: 61_000 }, "pass", 0.7, ["slow-answer", "slow-generation"]],
])("%o is %s with %d: %o", (change, verdict, score, findings) => {
  expect(assess(change)).toEqual({ verdict, score, findings });
});

test.each<[Partial<Subject>, string]>([
  [{ ended: "cancelled" }, "cancelled-by-client"],
  [{ ended: "unknown" }, "end-unknown"],
  [{ ended: "failed", error: undefined }, "error-unknown"],
  [{ ended: "failed", error: "provider_rejected" }, "request-at-fault"],
  [{ finish: undefined }, "finish-reason-unknown"],
  [{ makes: "embedding", finish: undefined, outputTokens: 0 }, "no-answer-expected"],
])("%o cannot be evaluated: %s", (change, finding) => {
  expect(assess(change)).toEqual({ verdict: "not-evaluable", score: 0, findings: [finding] });
});

test("scores lie between 0 and 1 and the same subject gets the same assessment", () => {
  const subjects = fc.record<Subject>({
    requestId: fc.string(),
    workspaceId: fc.string(),
    model: fc.string(),
    ofEvaluation: fc.boolean(),
    endedMs: fc.nat(),
    ended: fc.constantFrom("succeeded", "failed", "cancelled", "unknown"),
    error: fc.constantFrom(undefined, "internal", "provider_error", "invalid_request"),
    makes: fc.constantFrom("answer", "embedding"),
    finish: fc.constantFrom(undefined, "stop", "length", "tool-calls", "content-filter", "refusal", "pause", "error"),
    outputTokens: fc.option(fc.nat(), { nil: undefined }),
    providerMs: fc.nat(),
    firstTokenMs: fc.nat(),
  });
  fc.assert(
    fc.property(subjects, (subject) => {
      const first = answerHealth.assess(subject);
      expect(first.score).toBeGreaterThanOrEqual(0);
      expect(first.score).toBeLessThanOrEqual(1);
      expect(first.verdict === "pass").toBe(first.score >= 0.7);
      expect(answerHealth.assess({ ...subject })).toEqual(first);
    }),
  );
});
