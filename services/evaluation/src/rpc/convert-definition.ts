import { evaluation } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { Check, Definition, JudgeDefinition } from "../domain/definition.ts";
import { EDITION } from "../domain/judging/prompt.ts";

/** @throws WeirError invalid_request for what says nothing */
export function definitionOf(definition: evaluation.Definition | undefined): Definition {
  const kind = definition?.kind;
  switch (kind?.case) {
    case "heuristic":
      return { kind: "heuristic", checks: kind.value.checks.map(checkOf), passAt: kind.value.passAt ?? 1 };
    case "jsonSchema":
      return { kind: "schema", schema: canonicalJson(parsed(kind.value)) };
    case "judge":
      return judgeOf(kind.value);
    case "similarity": {
      const { model, passAt = 0.8, dimensions } = kind.value;
      return { kind: "similarity", model, passAt, dimensions };
    }
    case "webhook": {
      const { url, secret, timeoutMs, attempts, passAt = 0.5 } = kind.value;
      const parsedUrl = URL.parse(url);
      if (parsedUrl === null || !/^https?:$/.test(parsedUrl.protocol) || parsedUrl.username !== "")
        throw new WeirError("invalid_request", "The webhook's URL is none of https.", { param: "definition" });
      return { kind: "webhook", url, secret, timeoutMs: timeoutMs || 10_000, attempts: attempts || 3, passAt };
    }
    case undefined:
    default:
      throw new WeirError("invalid_request", "The definition is of no kind this release knows.", {
        param: "definition",
      });
  }
}

const AGAINST: Partial<Record<evaluation.Judge_Against, JudgeDefinition["against"]>> = {
  [evaluation.Judge_Against.REFERENCE]: "reference",
  [evaluation.Judge_Against.BASELINE]: "baseline",
};

function judgeOf({
  model,
  rubric,
  against: asked,
  passAt,
  temperature,
  maxOutputTokens,
}: evaluation.Judge): JudgeDefinition {
  const against = AGAINST[asked] ?? "nothing";
  return {
    kind: "judge",
    edition: EDITION,
    model,
    rubric,
    against,
    passAt: passAt ?? (against === "nothing" ? 0.7 : 0.5),
    // Canonical JSON knows no undefined.
    ...(temperature === undefined ? {} : { temperature }),
    maxOutputTokens: maxOutputTokens || 1_024,
  };
}

function checkOf({ check }: evaluation.Check): Check {
  switch (check.case) {
    case "length":
      return { check: "length", minCharacters: check.value.minCharacters, maxCharacters: check.value.maxCharacters };
    case "keywords": {
      const { all, any, none, matchCase } = check.value;
      return { check: "keywords", all, any, none, matchCase };
    }
    case "noRefusal":
      return { check: "no-refusal" };
    case "json":
      return { check: "json" };
    case "equalsReference":
      return { check: "equals-reference" };
    case undefined:
    default:
      throw new WeirError("invalid_request", "A check is of no kind this release knows.", { param: "definition" });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WeirError("invalid_request", "The schema is no JSON.", { param: "definition", cause });
  }
}
