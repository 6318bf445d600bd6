import type { evaluation } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { canonicalJson } from "../domain/canonical-json.ts";
import type { Check, Definition } from "../domain/definition.ts";

/** @throws WeirError invalid_request for what says nothing */
export function definitionOf(definition: evaluation.Definition | undefined): Definition {
  const kind = definition?.kind;
  switch (kind?.case) {
    case "heuristic":
      return { kind: "heuristic", checks: kind.value.checks.map(checkOf), passAt: kind.value.passAt ?? 1 };
    case "jsonSchema":
      return { kind: "schema", schema: canonicalJson(parsed(kind.value)) };
    case undefined:
    default:
      throw new WeirError("invalid_request", "The definition is of no kind this release knows.", {
        param: "definition",
      });
  }
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
