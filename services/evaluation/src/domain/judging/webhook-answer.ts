import type { WebhookDefinition } from "../definition.ts";
import { type Judgment, unjudged } from "./judgment.ts";

const MOST_FINDINGS = 16;
/** They are told to people and stored: words, not texts. */
const FINDING = /^[a-z0-9][a-z0-9:._/-]{0,79}$/;

/** What a webhook answered: {"score": 0 to 1, "passed"?: boolean, "findings"?: ["word", …]}. Anything else is no judgment. */
export function webhookJudgment({ passAt }: WebhookDefinition, answer: unknown): Judgment {
  if (typeof answer !== "object" || answer === null) return unjudged("webhook-unreadable");
  const { score, passed, findings } = answer as Readonly<Record<string, unknown>>;
  if (typeof score !== "number" || !(score >= 0 && score <= 1)) return unjudged("webhook-without-score");
  if (passed !== undefined && typeof passed !== "boolean") return unjudged("webhook-unreadable");
  if (findings !== undefined && !areFindings(findings)) return unjudged("webhook-findings-unreadable");
  return { score, passed: passed ?? score >= passAt, findings: findings ?? [] };
}

const areFindings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) &&
  value.length <= MOST_FINDINGS &&
  value.every((one) => typeof one === "string" && FINDING.test(one));
