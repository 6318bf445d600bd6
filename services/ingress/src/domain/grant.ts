/**
 * What a request may do: the rules of its key's path, and of its end user and tags. Everything but what must be counted is decided here.
 * Fails closed: see @weir/rules.
 */
import {
  type Attribute,
  type AttributeTable,
  attributesOf,
  inferenceRefusal,
  least,
  mergeRules,
  modelAllowed,
  PAYLOADS,
  type PreparedRules,
  prepareRules,
  type RequestAttributes,
  refusalOf,
  ruleError,
  type RuleRefusal,
  type Rules,
  withFixedTags,
} from "@weir/rules";
import type { Bounds, Key } from "./key.ts";
import type { RequestShape } from "./shape.ts";

/** What a workspace sets for an end user or a tag. */
export interface AttributeBounds extends Attribute, Bounds {
  readonly rules: Rules;
}

/** A key's rights, worked out once when the key is pushed. */
export interface Grant {
  readonly key: Key;
  readonly prepared: PreparedRules;
  /** Of its workspace; undefined: nothing is set for any. */
  readonly attributes: AttributeTable<AttributeBounds> | undefined;
}

export const grantOf = (key: Key, attributes?: AttributeTable<AttributeBounds>): Grant => ({
  key,
  prepared: prepareRules(key.rules),
  attributes,
});

const NO_NARROWED = 1000;
const narrowed = new WeakMap<Grant, Map<AttributeBounds, Grant>>();

/** The grant with one more attribute's bounds on top; the same two give the same object, so that each is worked out once. */
function withAttribute(grant: Grant, attribute: AttributeBounds): Grant {
  let known = narrowed.get(grant);
  if (known === undefined || known.size >= NO_NARROWED) {
    known = new Map();
    narrowed.set(grant, known);
  }
  let result = known.get(attribute);
  if (result === undefined) {
    const { key } = grant;
    const rules = mergeRules([key.rules, attribute.rules]);
    const payloads = least(PAYLOADS, key.payloads, attribute.rules.payloads) ?? key.payloads;
    result = grantOf({ ...key, ...either(key, attribute), rules, payloads }, grant.attributes);
    known.set(attribute, result);
  }
  return result;
}

const either = (one: Bounds, other: Bounds): Bounds => ({
  hasHardBudget: one.hasHardBudget || other.hasHardBudget,
  hasBudget: one.hasBudget || other.hasBudget,
  hasLimit: one.hasLimit || other.hasLimit,
  hasConcurrencyLimit: one.hasConcurrencyLimit || other.hasConcurrencyLimit,
  hasProviderLimit: one.hasProviderLimit || other.hasProviderLimit,
  providerLimitFailsClosed: one.providerLimitFailsClosed || other.providerLimitFailsClosed,
  countsCalls: one.countsCalls || other.countsCalls,
});

/** A request's grant with its end user's and its tags' bounds. Nothing is done where the workspace sets none. */
export function grantFor(grant: Grant, request: RequestAttributes): Grant {
  if (grant.attributes === undefined) return grant;
  return attributesOf(grant.attributes, request).reduce(withAttribute, grant);
}

/** What a request says of itself, as far as its key lets it. */
export function attributesFor(
  { key, prepared }: Grant,
  endUser: string,
  tags: RequestAttributes["tags"],
): RequestAttributes {
  return { endUser: key.endUser === "" ? endUser : key.endUser, tags: withFixedTags(prepared, tags) };
}

/** English text has about four bytes a token: for a cap on the input, which is a rule about size and not about money. */
export const BYTES_PER_TOKEN = 4;

/** @throws WeirError permission_denied */
export function requireInference({ scopes }: Key): void {
  const refusal = inferenceRefusal(scopes);
  if (refusal !== undefined) throw ruleError(refusal);
}

/**
 * What speaks against a request by the rules, with the name of the rule.
 * @param inputTokens as counted; undefined: estimated by the bytes
 */
export function objection(
  { prepared }: Grant,
  shape: RequestShape,
  tags: RequestAttributes["tags"],
  clientIp: string,
  guardrails: ReadonlySet<string>,
  inputTokens = Math.ceil(shape.textBytes / BYTES_PER_TOKEN),
): RuleRefusal | undefined {
  if (prepared.none) return undefined;
  const { model, stream, tools } = shape;
  return refusalOf(prepared, { model, stream, tools, tags, clientIp, inputTokens }, guardrails);
}

/** Whether a list of models may show this one. */
export const showsModel = ({ key }: Grant, model: string): boolean => modelAllowed(key.rules, model);
