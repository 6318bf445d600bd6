import type { ChatResponse } from "@weir/dialects";
import { canonicalJson } from "../canonical-json.ts";
import type { JudgeDefinition } from "../definition.ts";
import { jsonOf } from "../record-evaluators.ts";
import { type Judgment, scored, unjudged } from "./judgment.ts";

/** What a judge's answer says of the answer it was shown, or first: 0 to 1; or why it says nothing. */
type Said = { readonly value: number } | { readonly nothing: string };

/** Longer answers are not read: a judgment is a few lines. */
const LONGEST = 65_536;

/**
 * One judgment of what a judge answered to the calls for one content, in their order. Beside another answer it is asked in both orders (L. Zheng et al.,
 * 2023, §3.4): only a choice that holds in both counts; one that follows the position is a tie, and says so.
 */
export function judgmentOf({ against, passAt }: JudgeDefinition, answers: readonly ChatResponse[]): Judgment {
  const values: number[] = [];
  for (const answer of answers) {
    const said = saidIn(answer, against === "nothing");
    if ("nothing" in said) return unjudged(said.nothing);
    values.push(said.value);
  }
  const [first = 0, second] = values;
  if (second === undefined) return scored(first, passAt);
  // In the second call the answer stood second.
  const turned = 1 - second;
  if (first === turned) return scored(first, passAt);
  return scored(0.5, passAt, ["position-dependent"]);
}

function saidIn({ choices }: ChatResponse, alone: boolean): Said {
  const [choice] = choices;
  if (choice === undefined) return { nothing: "judge-silent" };
  if (choice.finishReason === "refusal" || choice.parts.some(({ type }) => type === "refusal"))
    return { nothing: "judge-refused" };
  if (choice.finishReason === "content-filter") return { nothing: "judge-filtered" };
  if (choice.finishReason === "length") return { nothing: "judge-cut-off" };
  const text = choice.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  const json = text.length > LONGEST ? undefined : jsonOf(text)?.value;
  if (typeof json !== "object" || json === null) return { nothing: "judge-unreadable" };
  return (alone ? scoreOf(json) : choiceOf(json)) ?? { nothing: "judge-unreadable" };
}

function scoreOf(json: object): Said | undefined {
  const score: unknown = "score" in json ? json.score : undefined;
  return typeof score === "number" && Number.isInteger(score) && score >= 0 && score <= 10
    ? { value: score / 10 }
    : undefined;
}

const CHOICES = new Map<unknown, number>([
  ["A", 1],
  ["B", 0],
  ["tie", 0.5],
]);

function choiceOf(json: object): Said | undefined {
  const value = CHOICES.get("better" in json ? json.better : undefined);
  return value === undefined ? undefined : { value };
}

/** What names a content under a version; the key over it is the service's. */
export const contentName = (evaluator: string, version: number, texts: readonly (string | null)[]): string =>
  canonicalJson([evaluator, version, ...texts.map((text) => text?.toWellFormed() ?? null)]);
