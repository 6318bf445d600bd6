import { commonAddresses, rangeOf } from "./addresses.ts";
import { intersection, union } from "./patterns.ts";
import { MOST_TAGS, tagOf, tagProblem } from "./tags.ts";

/** How answers may be kept for later requests; each allows what those before it allow. */
export const CACHES = ["off", "exact", "semantic"] as const;
export type CacheChoice = (typeof CACHES)[number];

/** What is kept of texts; each keeps more than those before it. */
export const PAYLOADS = ["none", "hashes", "redacted", "full"] as const;
export type PayloadChoice = (typeof PAYLOADS)[number];

/** What one level allows: an organization, a workspace, a project, a key, an end user, a tag. See patterns.ts for what a list may hold. */
export interface Rules {
  /** Empty: all. */
  readonly allowedModels: readonly string[];
  /** Stands above every allow list. */
  readonly deniedModels: readonly string[];
  readonly allowedProviders: readonly string[];
  readonly deniedProviders: readonly string[];
  /** A provider whose region is not stated is in none of them. */
  readonly allowedRegions: readonly string[];
  /** A provider whose region is not stated may be in any of them. */
  readonly deniedRegions: readonly string[];
  /** CIDR ranges; empty: all. */
  readonly allowedIps: readonly string[];
  /** 0: no cap. */
  readonly maxInputTokens: number;
  readonly maxOutputTokens: number;
  readonly denyStreaming: boolean;
  readonly denyTools: boolean;
  readonly requiredGuardrails: readonly string[];
  /** The most that may be cached; undefined: as the route says. */
  readonly cache: CacheChoice | undefined;
  /** The most that may be kept; undefined: as the workspace says. */
  readonly payloads: PayloadChoice | undefined;
  /** "name=value": tags that a request has whatever it says. A name with two values leaves nothing that may be served. */
  readonly fixedTags: readonly string[];
}

export const NO_RULES: Rules = Object.freeze({
  allowedModels: [],
  deniedModels: [],
  allowedProviders: [],
  deniedProviders: [],
  allowedRegions: [],
  deniedRegions: [],
  allowedIps: [],
  maxInputTokens: 0,
  maxOutputTokens: 0,
  denyStreaming: false,
  denyTools: false,
  requiredGuardrails: [],
  cache: undefined,
  payloads: undefined,
  fixedTags: [],
});

const both = (a: readonly string[], b: readonly string[]): readonly string[] => [...new Set([...a, ...b])].sort();

/**
 * The strictest of all: what passes the result passes every level, and the other way round. Neither their order nor their grouping
 * matters, nor that one comes twice: equal rules come out as equal values.
 */
export function mergeRules(levels: readonly Rules[]): Rules {
  return levels.reduce(
    (a, b) => ({
      allowedModels: intersection(a.allowedModels, b.allowedModels),
      deniedModels: union(a.deniedModels, b.deniedModels),
      allowedProviders: intersection(a.allowedProviders, b.allowedProviders),
      deniedProviders: union(a.deniedProviders, b.deniedProviders),
      allowedRegions: intersection(a.allowedRegions, b.allowedRegions),
      deniedRegions: union(a.deniedRegions, b.deniedRegions),
      allowedIps: commonAddresses(a.allowedIps, b.allowedIps),
      maxInputTokens: lowerCap(a.maxInputTokens, b.maxInputTokens),
      maxOutputTokens: lowerCap(a.maxOutputTokens, b.maxOutputTokens),
      denyStreaming: a.denyStreaming || b.denyStreaming,
      denyTools: a.denyTools || b.denyTools,
      requiredGuardrails: both(a.requiredGuardrails, b.requiredGuardrails),
      cache: least(CACHES, a.cache, b.cache),
      payloads: least(PAYLOADS, a.payloads, b.payloads),
      fixedTags: both(a.fixedTags, b.fixedTags),
    }),
    NO_RULES,
  );
}

const lowerCap = (a: number, b: number): number => (a === 0 ? b : b === 0 ? a : Math.min(a, b));

/** @param order from the least to the most */
export function least<T>(order: readonly T[], a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return order.indexOf(a) <= order.indexOf(b) ? a : b;
}

const unset = (value: unknown): boolean =>
  value === undefined || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

export const isEmpty = (rules: Rules): boolean => Object.values(rules).every(unset);

/** Only what is set. */
export const statedRules = (rules: Rules): Partial<Rules> =>
  Object.fromEntries(Object.entries(rules).filter(([, value]) => !unset(value)));

const MOST_NAMES = 1000;
const LONGEST_NAME = 256;
const MOST_GUARDRAILS = 32;
const GUARDRAIL = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** What is wrong with rules that somebody asks for. `param` is the field's name as it is written on the wire. */
export function ruleProblem(rules: Rules): { param: string; message: string } | undefined {
  const patterns = {
    allowed_models: rules.allowedModels,
    denied_models: rules.deniedModels,
    allowed_providers: rules.allowedProviders,
    denied_providers: rules.deniedProviders,
    allowed_regions: rules.allowedRegions,
    denied_regions: rules.deniedRegions,
  };
  for (const [param, list] of Object.entries(patterns)) {
    if (list.length > MOST_NAMES) return { param, message: `A list has at most ${MOST_NAMES} names.` };
    for (const pattern of list) {
      if (pattern.length > LONGEST_NAME) return { param, message: `A name has at most ${LONGEST_NAME} characters.` };
      // A "*" elsewhere would be taken for itself, which nobody means.
      if (pattern.slice(0, -1).includes("*")) return { param, message: 'A "*" may only be a name\'s last character.' };
    }
  }
  return otherProblem(rules);
}

function otherProblem(rules: Rules): { param: string; message: string } | undefined {
  const { allowedIps, requiredGuardrails, fixedTags } = rules;
  if (allowedIps.length > MOST_NAMES)
    return { param: "allowed_ips", message: `A list has at most ${MOST_NAMES} ranges.` };
  const range = allowedIps.find((text) => text !== "" && rangeOf(text) === undefined);
  if (range !== undefined) {
    const message = `"${range.slice(0, 64)}" is no address and no range like 10.0.0.0/8 or 2001:db8::/32, without bits beyond its prefix.`;
    return { param: "allowed_ips", message };
  }
  if (requiredGuardrails.length > MOST_GUARDRAILS || requiredGuardrails.some((name) => !GUARDRAIL.test(name))) {
    const message = `At most ${MOST_GUARDRAILS} names of a-z, 0-9, '.', '_' and '-'.`;
    return { param: "required_guardrails", message };
  }
  if (fixedTags.length > MOST_TAGS) return { param: "fixed_tags", message: `At most ${MOST_TAGS} tags are fixed.` };
  for (const text of fixedTags) {
    const tag = tagOf(text);
    const message = tag === undefined ? "A tag is written team=search." : tagProblem(tag.name, tag.value);
    if (message !== undefined) return { param: "fixed_tags", message };
  }
  return undefined;
}
