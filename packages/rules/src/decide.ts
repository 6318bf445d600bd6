/**
 * Whether rules let a request in. Fails closed: an address that is not known is in no range, a region that is not stated may be a denied one,
 * and a guardrail that does not exist refuses.
 */
import { type Reason, WeirError } from "@weir/kernel";
import { contains, type IpRange, ipOf, rangesOf } from "./addresses.ts";
import { allows, isNothing, matchesAny } from "./patterns.ts";
import { isEmpty, type Rules } from "./rules.ts";

/** What rules look at. */
export interface RuledRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly tools: boolean;
  /** As it brings them. */
  readonly tags: Readonly<Record<string, string>>;
  /** "": not known. */
  readonly clientIp: string;
  /** As well as it is known before it was sent; what caps on the input are held against. */
  readonly inputTokens: number;
}

/** Rules made ready to decide by. */
export interface PreparedRules {
  readonly rules: Rules;
  readonly none: boolean;
  readonly ranges: readonly IpRange[] | undefined;
  readonly impossible: RuleRefusal | undefined;
  /** Undefined: none are fixed. */
  readonly fixedTags: Readonly<Record<string, string>> | undefined;
}

export interface RuleRefusal {
  /** The rule's name as it is written on the wire: "denied_models". */
  readonly rule: string;
  readonly reason: Reason;
  readonly message: string;
  /** The part of the request that it refuses. */
  readonly param: string | undefined;
}

export const ruleError = ({ reason, message, param }: RuleRefusal): WeirError =>
  new WeirError(reason, message, { param });

const denied = (rule: string, message: string, param?: string): RuleRefusal => ({
  rule,
  reason: "permission_denied",
  message,
  param,
});

export function prepareRules(rules: Rules): PreparedRules {
  const fixed: Record<string, string> = Object.create(null) as Record<string, string>;
  let impossible = nothingLeft(rules);
  for (const tag of rules.fixedTags) {
    const at = tag.indexOf("=");
    const [name, value] = [tag.slice(0, at), tag.slice(at + 1)];
    if (name in fixed && fixed[name] !== value)
      impossible ??= denied("fixed_tags", `The rules of this request fix the tag "${name}" to two values.`);
    fixed[name] = value;
  }
  return {
    rules,
    none: isEmpty(rules),
    ranges: rules.allowedIps.length === 0 ? undefined : rangesOf(rules.allowedIps),
    impossible,
    fixedTags: rules.fixedTags.length === 0 ? undefined : fixed,
  };
}

function nothingLeft({ allowedProviders, allowedRegions }: Rules): RuleRefusal | undefined {
  const what = isNothing(allowedProviders) ? "providers" : isNothing(allowedRegions) ? "regions" : undefined;
  if (what === undefined) return undefined;
  return denied(`allowed_${what}`, "The rules of this request leave no provider that may serve it.");
}

/** @param scopes of the key */
export const inferenceRefusal = (scopes: readonly string[]): RuleRefusal | undefined =>
  scopes.includes("inference")
    ? undefined
    : denied("scopes", "This key may not call models: it lacks the scope `inference`.");

/** Whether a model is one that the rules let through; what lists of models show is decided by it, too. */
export const modelAllowed = ({ allowedModels, deniedModels }: Rules, model: string): boolean =>
  allows(allowedModels, model) && !matchesAny(deniedModels, model);

/** Who may serve a request, and where. */
export type Residency = Pick<Rules, "allowedProviders" | "deniedProviders" | "allowedRegions" | "deniedRegions">;

/** @param region "": not stated */
export const providerAllowed = (rules: Residency, provider: string, region: string): boolean =>
  providerNamed(rules, provider) && regionNamed(rules, region);

export const providerNamed = (rules: Residency, provider: string): boolean =>
  allows(rules.allowedProviders, provider) && !matchesAny(rules.deniedProviders, provider);

export const regionNamed = ({ allowedRegions, deniedRegions }: Residency, region: string): boolean =>
  region === ""
    ? allowedRegions.length === 0 && deniedRegions.length === 0
    : allows(allowedRegions, region) && !matchesAny(deniedRegions, region);

export function addressRefusal({ ranges }: PreparedRules, clientIp: string): RuleRefusal | undefined {
  if (ranges === undefined) return undefined;
  const ip = ipOf(clientIp);
  if (ip !== undefined && ranges.some((range) => contains(range, ip))) return undefined;
  return denied("allowed_ips", "This key may not be used from this address.");
}

/**
 * What the first of the rules that refuses says.
 * @param guardrails those that exist
 */
export function refusalOf(
  prepared: PreparedRules,
  request: RuledRequest,
  guardrails: ReadonlySet<string>,
): RuleRefusal | undefined {
  if (prepared.none) return undefined;
  const { rules } = prepared;
  return (
    addressRefusal(prepared, request.clientIp) ??
    fixedTagRefusal(prepared, request.tags) ??
    modelRefusal(prepared, request) ??
    manner(rules, request) ??
    prepared.impossible ??
    missingGuardrail(rules, guardrails)
  );
}

function modelRefusal({ rules }: PreparedRules, { model }: RuledRequest): RuleRefusal | undefined {
  if (modelAllowed(rules, model)) return undefined;
  const rule = matchesAny(rules.deniedModels, model) ? "denied_models" : "allowed_models";
  const message = `This key may not use the model "${model.slice(0, 256)}".`;
  return { rule, reason: "model_not_allowed", message, param: "model" };
}

function manner(rules: Rules, request: RuledRequest): RuleRefusal | undefined {
  if (rules.denyStreaming && request.stream)
    return denied("deny_streaming", "This key may not stream: send the request without `stream`.", "stream");
  if (rules.denyTools && request.tools) return denied("deny_tools", "This key may not use tools.", "tools");
  if (rules.maxInputTokens === 0 || request.inputTokens <= rules.maxInputTokens) return undefined;
  const message = `The input is longer than the ${rules.maxInputTokens} tokens that this key may send.`;
  return { rule: "max_input_tokens", reason: "invalid_request", message, param: undefined };
}

function missingGuardrail({ requiredGuardrails }: Rules, known: ReadonlySet<string>): RuleRefusal | undefined {
  const missing = requiredGuardrails.find((name) => !known.has(name));
  if (missing === undefined) return undefined;
  return denied("required_guardrails", `The guardrail "${missing}" is required and does not exist.`);
}

/** A request that says otherwise of a fixed tag is refused: it must not be able to leave a budget that is set for its tag. */
function fixedTagRefusal(
  { fixedTags }: PreparedRules,
  tags: Readonly<Record<string, string>>,
): RuleRefusal | undefined {
  if (fixedTags === undefined) return undefined;
  for (const name in fixedTags) {
    if (Object.hasOwn(tags, name) && tags[name] !== fixedTags[name])
      return denied("fixed_tags", `The tag "${name}" is fixed for this key.`, "tags");
  }
  return undefined;
}

/** The tags of a request: those it brings and those that rules fix, which count whatever it says. */
export const withFixedTags = (
  { fixedTags }: PreparedRules,
  tags: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> =>
  fixedTags === undefined ? tags : Object.assign(Object.create(null) as Record<string, string>, tags, fixedTags);
