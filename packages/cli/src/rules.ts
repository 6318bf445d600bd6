import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ParseArgsOptionsConfig } from "node:util";
import type { policy } from "@weir/contracts";
import { isEmpty, NO_RULES, ruleProblem, type Rules } from "@weir/rules";
import { choice, type Flags, UsageError, wholeNumber } from "./command.ts";
import { PAYLOADS, wireRules } from "./wire-rules.ts";

/** Flags of whatever has rules: organizations, workspaces, projects, keys, issuers, end users, tags. */
export const RULE_OPTIONS = {
  "allow-model": { type: "string", multiple: true },
  "deny-model": { type: "string", multiple: true },
  "allow-provider": { type: "string", multiple: true },
  "deny-provider": { type: "string", multiple: true },
  "allow-region": { type: "string", multiple: true },
  "deny-region": { type: "string", multiple: true },
  "allow-ip": { type: "string", multiple: true },
  "max-input-tokens": { type: "string" },
  "max-output-tokens": { type: "string" },
  "deny-streaming": { type: "boolean" },
  "deny-tools": { type: "boolean" },
  guardrail: { type: "string", multiple: true },
  cache: { type: "string" },
  keep: { type: "string" },
  "fix-tag": { type: "string", multiple: true },
} satisfies ParseArgsOptionsConfig;

export const RULE_USAGE =
  "[--allow-model|--deny-model M]… [--allow-provider|--deny-provider P]… [--allow-region|--deny-region R]… [--allow-ip 10.0.0.0/8]… " +
  "[--max-input-tokens|--max-output-tokens N] [--deny-streaming] [--deny-tools] [--guardrail G]… [--cache off|exact|semantic] " +
  "[--keep none|hashes|full] [--fix-tag name=value]…";

const CACHES = { off: "off", exact: "exact", semantic: "semantic" } as const;
const KEPT = { none: "none", hashes: "hashes", redacted: "redacted", full: "full" } as const satisfies Record<
  keyof typeof PAYLOADS,
  string
>;

/** @throws UsageError */
export function rulesFrom(flags: Flags): Rules {
  const most = (name: string): number => Number(wholeNumber(`--${name}`, flags.text(name) ?? "0"));
  const [cache, keep] = [flags.text("cache"), flags.text("keep")];
  const rules: Rules = {
    ...NO_RULES,
    allowedModels: flags.list("allow-model"),
    deniedModels: flags.list("deny-model"),
    allowedProviders: flags.list("allow-provider"),
    deniedProviders: flags.list("deny-provider"),
    allowedRegions: flags.list("allow-region"),
    deniedRegions: flags.list("deny-region"),
    allowedIps: flags.list("allow-ip"),
    maxInputTokens: most("max-input-tokens"),
    maxOutputTokens: most("max-output-tokens"),
    denyStreaming: flags.on("deny-streaming"),
    denyTools: flags.on("deny-tools"),
    requiredGuardrails: flags.list("guardrail"),
    cache: cache === undefined ? undefined : choice("--cache", cache, CACHES),
    payloads: keep === undefined ? undefined : choice("--keep", keep, KEPT),
    fixedTags: flags.list("fix-tag"),
  };
  const problem = ruleProblem(rules);
  if (problem !== undefined) throw new UsageError(`${problem.param}: ${problem.message}`);
  return rules;
}

/** Empty where no rule flag was given: what has rules then keeps them. */
export function rulesOf(flags: Flags): { rules?: MessageInitShape<typeof policy.RulesSchema> } {
  const rules = rulesFrom(flags);
  return isEmpty(rules) ? {} : { rules: wireRules(rules) };
}
