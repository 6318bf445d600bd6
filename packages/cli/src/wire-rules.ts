import type { MessageInitShape } from "@bufbuild/protobuf";
import { common, policy } from "@weir/contracts";
import { type CacheChoice, mergeRules, NO_RULES, type PayloadChoice, type Rules } from "@weir/rules";

export const CACHES: Readonly<Record<CacheChoice, common.CacheChoice>> = {
  off: common.CacheChoice.OFF,
  exact: common.CacheChoice.EXACT,
  semantic: common.CacheChoice.SEMANTIC,
};

export const PAYLOADS: Readonly<Record<PayloadChoice, policy.PayloadChoice>> = {
  none: policy.PayloadChoice.NONE,
  hashes: policy.PayloadChoice.HASHES,
  redacted: policy.PayloadChoice.REDACTED,
  full: policy.PayloadChoice.FULL,
};

const wordOf = <W extends string>(words: Readonly<Record<W, number>>, number: number): W | undefined =>
  (Object.keys(words) as W[]).find((word) => words[word] === number);

export const payloadsWord = (choice: policy.PayloadChoice): PayloadChoice | undefined => wordOf(PAYLOADS, choice);

export const wireRules = (rules: Rules): MessageInitShape<typeof policy.RulesSchema> => ({
  allowedModels: [...rules.allowedModels],
  deniedModels: [...rules.deniedModels],
  allowedProviders: [...rules.allowedProviders],
  deniedProviders: [...rules.deniedProviders],
  allowedRegions: [...rules.allowedRegions],
  deniedRegions: [...rules.deniedRegions],
  allowedIps: [...rules.allowedIps],
  maxInputTokens: rules.maxInputTokens,
  maxOutputTokens: rules.maxOutputTokens,
  denyStreaming: rules.denyStreaming,
  denyTools: rules.denyTools,
  requiredGuardrails: [...rules.requiredGuardrails],
  cache: rules.cache === undefined ? common.CacheChoice.UNSPECIFIED : CACHES[rules.cache],
  payloadChoice: rules.payloads === undefined ? policy.PayloadChoice.UNSPECIFIED : PAYLOADS[rules.payloads],
  fixedTags: [...rules.fixedTags],
});

/** In one spelling: equal rules are equal values. */
export function rulesOfWire(rules: policy.Rules | undefined): Rules {
  if (rules === undefined) return NO_RULES;
  const { cache, payloadChoice, $typeName: _type, ...rest } = rules;
  return mergeRules([{ ...NO_RULES, ...rest, cache: wordOf(CACHES, cache), payloads: payloadsWord(payloadChoice) }]);
}

/** "allowed_models", as files and flags call it. */
const nameOf = (field: string): string => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const textOf = (value: Rules[keyof Rules]): string => {
  if (typeof value === "object") return value.length === 0 ? "none" : value.join(", ");
  return value === undefined || value === 0 || value === false ? "none" : String(value);
};

/** What differs: "denied_models: none → a, b". */
export function rulesChanged(from: Rules, to: Rules): string[] {
  const [before, after] = [mergeRules([from]), mergeRules([to])];
  return (Object.keys(after) as (keyof Rules)[])
    .map((field) => [field, textOf(before[field]), textOf(after[field])] as const)
    .filter(([, old, now]) => old !== now)
    .map(([field, old, now]) => `${nameOf(field)}: ${old} → ${now}`);
}

/** "denied_models: a, b": what is set. */
export const rulesText = (rules: Rules): string[] =>
  rulesChanged(NO_RULES, rules).map((change) => change.replace(" none →", ""));
