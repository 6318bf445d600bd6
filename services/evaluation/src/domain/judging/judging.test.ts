import type { ChatResponse, FinishReason, Part } from "@weir/dialects";
import fc from "fast-check";
import { expect, test } from "vitest";
import { kappaOf } from "../agreement.ts";
import type { JudgeDefinition, WebhookDefinition } from "../definition.ts";
import type { ReadItem } from "../item.ts";
import { assessmentOf } from "./judgment.ts";
import { judgeCalls, judgedTexts } from "./prompt.ts";
import { similarityOf } from "./similarity.ts";
import { contentName, judgmentOf } from "./verdict.ts";
import { webhookJudgment } from "./webhook-answer.ts";

const ALONE: JudgeDefinition = {
  kind: "judge",
  edition: 1,
  model: "m",
  rubric: "It is true.",
  against: "nothing",
  passAt: 0.7,
  maxOutputTokens: 100,
};
const BESIDE: JudgeDefinition = { ...ALONE, against: "reference", passAt: 0.5 };

const said = (text: string, finishReason: FinishReason = "stop", part?: Part): ChatResponse => ({
  id: "",
  model: "m",
  createdS: 0,
  choices: [{ index: 0, parts: [part ?? { type: "text", text }], finishReason }],
});

test.each([
  ['{"reason":"","score":8}', "stop", { verdict: "pass", score: 0.8 }],
  ['```json\n{"score":3}\n```', "stop", { verdict: "fail", score: 0.3 }],
  ['{"score":11}', "stop", { verdict: "unjudged", findings: ["judge-unreadable"] }],
  ['{"score":"8"}', "stop", { verdict: "unjudged", findings: ["judge-unreadable"] }],
  ['{"score":7.5}', "stop", { verdict: "unjudged", findings: ["judge-unreadable"] }],
  ["I'd give it 9 of 10.", "stop", { verdict: "unjudged", findings: ["judge-unreadable"] }],
  ['{"score":8}', "length", { verdict: "unjudged", findings: ["judge-cut-off"] }],
  ['{"score":8}', "refusal", { verdict: "unjudged", findings: ["judge-refused"] }],
  ['{"score":8}', "content-filter", { verdict: "unjudged", findings: ["judge-filtered"] }],
] as const)("a judge that says %s (%s)", (text, finish, expected) => {
  expect(assessmentOf(judgmentOf(ALONE, [said(text, finish)]))).toMatchObject(expected);
});

test("a refusal in a part of its own is no score either, and neither is silence", () => {
  expect(judgmentOf(ALONE, [said("", "stop", { type: "refusal", text: "No." })]).findings).toEqual(["judge-refused"]);
  expect(judgmentOf(ALONE, [{ ...said(""), choices: [] }]).findings).toEqual(["judge-silent"]);
});

test.each([
  ["A", "B", { score: 1, passed: true, findings: [] }],
  ["B", "A", { score: 0, passed: false, findings: [] }],
  ["tie", "tie", { score: 0.5, passed: true, findings: [] }],
  // Whoever stands first wins: that is no choice.
  ["A", "A", { score: 0.5, passed: true, findings: ["position-dependent"] }],
  ["B", "B", { score: 0.5, passed: true, findings: ["position-dependent"] }],
  ["A", "tie", { score: 0.5, passed: true, findings: ["position-dependent"] }],
])("beside another, %s first and %s second", (first, second, judgment) => {
  const answers = [first, second].map((better) => said(JSON.stringify({ reason: "", better })));
  expect(judgmentOf(BESIDE, answers)).toEqual(judgment);
});

const item = (record: Partial<ReadItem["record"]>): ReadItem => ({
  id: "a",
  record: { id: "a", input: "Why?", answer: "Because.", reference: undefined, label: undefined, ...record },
  asked: undefined,
  baseline: undefined,
  failure: undefined,
});

test("both orders are asked, and what is judged stands between its lines, never among the instructions", () => {
  const found = judgedTexts(BESIDE, item({ reference: "It is so." }));
  if ("lacking" in found) throw new Error(found.lacking);
  const [first, second] = judgeCalls(BESIDE, found.texts).map(({ request }) => request.messages);
  const text = (messages: typeof first): string => JSON.stringify(messages?.[1]?.parts);
  expect(text(first).indexOf("Because.")).toBeLessThan(text(first).indexOf("It is so."));
  expect(text(second).indexOf("Because.")).toBeGreaterThan(text(second).indexOf("It is so."));
  expect(JSON.stringify(first?.[0])).not.toContain("Because.");
  expect(judgedTexts(BESIDE, item({}))).toEqual({ lacking: "no-reference" });
  expect(judgedTexts(ALONE, item({ answer: undefined }))).toEqual({ lacking: "no-answer" });
});

test("contents have the same name only where they are the same", () => {
  const texts = fc.array(fc.option(fc.string()), { maxLength: 3 });
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      expect(contentName("e", 1, a) === contentName("e", 1, b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }),
  );
  expect(contentName("e", 1, ["a"])).not.toBe(contentName("e", 2, ["a"]));
});

test("cosines: the same, a right angle, the other way, none", () => {
  const definition = { kind: "similarity", model: "m", passAt: 0.8, dimensions: 0 } as const;
  expect(similarityOf(definition, [1, 2], [2, 4]).score).toBeCloseTo(1, 12);
  expect(similarityOf(definition, [1, 0], [0, 1])).toMatchObject({ score: 0, passed: false });
  expect(similarityOf(definition, [1, 0], [-1, 0]).score).toBe(0);
  expect(similarityOf(definition, [0, 0], [1, 0]).score).toBeUndefined();
  expect(similarityOf(definition, [1], [1, 0]).score).toBeUndefined();
});

test("whatever a webhook answers is a judgment or none, and quotes nothing", () => {
  const definition: WebhookDefinition = {
    kind: "webhook",
    url: "",
    secret: "",
    timeoutMs: 1,
    attempts: 1,
    passAt: 0.5,
  };
  expect(webhookJudgment(definition, { score: 0.5 })).toEqual({ score: 0.5, passed: true, findings: [] });
  expect(webhookJudgment(definition, { score: 0.9, passed: false, findings: ["off-topic"] })).toMatchObject({
    passed: false,
  });
  expect(webhookJudgment(definition, { score: 1, findings: ["what the user said"] }).score).toBeUndefined();
  fc.assert(
    fc.property(fc.anything(), (answer) => {
      const { score, findings } = webhookJudgment(definition, answer);
      expect(score === undefined || (score >= 0 && score <= 1)).toBe(true);
      expect(findings.every((finding) => /^[a-z0-9][a-z0-9:._/-]*$/.test(finding))).toBe(true);
    }),
  );
});

test("Cohen's kappa: textbook counts", () => {
  // J. Sim & C. Wright, 2005: 22, 4, 2, 11 of 39: kappa 0.67.
  expect(kappaOf({ bothPass: 22, onlyEvaluator: 4, onlyLabel: 2, bothFail: 11 })).toBeCloseTo(0.67, 2);
  expect(kappaOf({ bothPass: 20, onlyEvaluator: 5, onlyLabel: 10, bothFail: 15 })).toBeCloseTo(0.4, 12);
  expect(kappaOf({ bothPass: 25, onlyEvaluator: 25, onlyLabel: 25, bothFail: 25 })).toBeCloseTo(0, 12);
  expect(kappaOf({ bothPass: 5, onlyEvaluator: 0, onlyLabel: 0, bothFail: 0 })).toBeUndefined();
  expect(kappaOf({ bothPass: 0, onlyEvaluator: 0, onlyLabel: 0, bothFail: 0 })).toBeUndefined();
});
