import type { ParseArgsOptionsConfig } from "node:util";
import { type Flags, wholeNumber } from "./command.ts";

/** Flags of whatever has rules: workspaces, projects, keys. */
export const RULE_OPTIONS = {
  "allow-model": { type: "string", multiple: true },
  "deny-model": { type: "string", multiple: true },
  "allow-provider": { type: "string", multiple: true },
  "allow-region": { type: "string", multiple: true },
  "max-input-tokens": { type: "string" },
  "max-output-tokens": { type: "string" },
} satisfies ParseArgsOptionsConfig;

export const RULE_USAGE =
  "[--allow-model M]… [--deny-model M]… [--allow-provider P]… [--allow-region R]… [--max-output-tokens N]";

interface RulesInit {
  readonly allowedModels: string[];
  readonly deniedModels: string[];
  readonly allowedProviders: string[];
  readonly allowedRegions: string[];
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
}

/** Empty where no rule flag was given: what has rules then keeps them. */
export function rulesOf(flags: Flags): { rules?: RulesInit } {
  const most = (name: string): number => Number(wholeNumber(`--${name}`, flags.text(name) ?? "0"));
  const rules = {
    allowedModels: flags.list("allow-model"),
    deniedModels: flags.list("deny-model"),
    allowedProviders: flags.list("allow-provider"),
    allowedRegions: flags.list("allow-region"),
    maxInputTokens: most("max-input-tokens"),
    maxOutputTokens: most("max-output-tokens"),
  };
  const given = Object.values(rules).some((rule) => (Array.isArray(rule) ? rule.length > 0 : rule > 0));
  return given ? { rules } : {};
}
