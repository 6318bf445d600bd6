/** weir.yaml's guardrails as the engine takes them. */
import type { GuardrailConfig, GuardrailRule } from "@weir/config";
import type { DetectorChoice, Rule } from "@weir/guardrails";
import type { GuardrailDefinition } from "../domain/guardrails/guard.ts";
import { jsonSchemaCheck } from "./json-schema-check.ts";

/** @throws WeirError invalid_request that names the guardrail, for a schema or a pattern that cannot be used */
export function definitionsOf(configured: ReadonlyMap<string, GuardrailConfig>): Map<string, GuardrailDefinition> {
  return new Map(
    [...configured].map(([name, { rules, external }]) => [
      name,
      {
        rules: rules.map(
          (rule): Rule => ({ detector: detectorOf(name, rule), action: rule.action, places: rule.places }),
        ),
        external: external.map((webhook) => ({ ...webhook, guardrail: name })),
      },
    ]),
  );
}

function detectorOf(guardrail: string, rule: GuardrailRule): DetectorChoice {
  switch (rule.detect) {
    case "names":
    case "topics":
      return { kind: rule.detect, phrases: rule.phrases };
    case "patterns":
      return { kind: "patterns", name: rule.name, patterns: rule.patterns, ignoreCase: rule.ignoreCase };
    case "urls":
      return { kind: "urls", allow: rule.allow, deny: rule.deny, ipLiterals: rule.ipLiterals };
    case "code":
      return { kind: "code", languages: rule.languages };
    case "injection":
      return { kind: "injection", threshold: rule.threshold };
    case "schema":
      return { kind: "check", name: rule.name, passes: jsonSchemaCheck(guardrail, rule.schema ?? {}) };
    case "email":
    case "phone":
    case "card":
    case "iban":
    case "ssn":
    case "ip":
    case "secrets":
    case "commands":
      return { kind: rule.detect };
  }
}
