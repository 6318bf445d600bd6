/**
 * Why a request would be admitted or refused: the same decisions as admission takes, level by level, each with its reason. Nothing is taken.
 */
import { WeirError } from "@weir/kernel";
import {
  attributesOf,
  inferenceRefusal,
  mergeRules,
  prepareRules,
  providerNamed,
  regionNamed,
  type RequestAttributes,
  type RuledRequest,
  refusalOf,
  ruleError,
  type RuleRefusal,
  type Rules,
  withFixedTags,
} from "@weir/rules";
import type { Amounts } from "./amounts.ts";
import type { KeyPolicy, RuleLevel } from "./key-policy.ts";

/** A request as somebody imagines it. */
export interface ImaginedRequest extends Omit<RuledRequest, "tags">, RequestAttributes {
  readonly outputTokens: number;
  /** The agent run that it would be a step of; empty: none. */
  readonly runId: string;
  /** Who may serve the model; empty: not known. */
  readonly candidates: readonly ImaginedCandidate[];
}

export interface ImaginedCandidate {
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  /** The most that the request can cost there; undefined: nobody knows. */
  readonly bound: Amounts | undefined;
}

export interface LevelVerdict {
  /** "workspace/default", "tag/team=search" */
  readonly level: string;
  readonly rules: Rules;
  readonly refusal: RuleRefusal | undefined;
}

export interface CandidateVerdict {
  readonly candidate: ImaginedCandidate;
  readonly allowed: boolean;
  readonly reason: string;
}

export interface Refusal {
  readonly error: WeirError;
  /** "rules workspace/default denied_models", "limit …", "budget …" */
  readonly rule: string;
}

/** A budget as it stands for a request. */
export interface RehearsedBudget {
  readonly limit: bigint;
  readonly hard: boolean;
  readonly closed: boolean;
  readonly held: bigint;
  readonly spent: bigint;
  /** Undefined: never. */
  readonly periodEndMs: number | undefined;
}

/** What the rules say. */
export interface RuleVerdict {
  readonly levels: readonly LevelVerdict[];
  /** Of all levels together. */
  readonly rules: Rules;
  readonly attributes: RequestAttributes;
  readonly candidates: readonly CandidateVerdict[];
  /** Of the dearest candidate that is allowed; undefined: not known. */
  readonly hold: Amounts | undefined;
  readonly refusal: Refusal | undefined;
}

/** @param guardrails those that exist */
export function ruleVerdict(key: KeyPolicy, request: ImaginedRequest, guardrails: ReadonlySet<string>): RuleVerdict {
  const tags = withFixedTags(prepareRules(key.rules), request.tags);
  const attributes = { endUser: key.endUser === "" ? request.endUser : key.endUser, tags };
  const all = [...key.levels, ...attributeLevels(key, attributes)];
  const levels = all.map(
    ({ place, placeName, rules }): LevelVerdict => ({
      level: `${place}/${placeName}`,
      rules,
      refusal: refusalOf(prepareRules(rules), request, guardrails),
    }),
  );
  const rules = mergeRules(all.map((level) => level.rules));
  const candidates = request.candidates.map((candidate) => candidateVerdict(rules, candidate));
  const together = refusalOf(prepareRules(rules), request, guardrails);
  return {
    levels,
    rules,
    attributes,
    candidates,
    hold: holdOf(candidates),
    refusal: keyRefusal(key) ?? levelRefusal(levels, together) ?? candidateRefusal(request.model, candidates),
  };
}

function attributeLevels({ attributes }: KeyPolicy, request: RequestAttributes): RuleLevel[] {
  if (attributes === undefined) return [];
  return attributesOf(attributes, request).map(({ kind, name, value, rules }) => ({
    place: kind,
    placeName: value === "" ? name : `${name}=${value}`,
    rules,
  }));
}

function keyRefusal({ scopes }: KeyPolicy): Refusal | undefined {
  const refusal = inferenceRefusal(scopes);
  return refusal && { error: ruleError(refusal), rule: "key scopes" };
}

/** Levels that share nothing refuse together what each by itself lets in. */
function levelRefusal(levels: readonly LevelVerdict[], together: RuleRefusal | undefined): Refusal | undefined {
  for (const { level, refusal } of levels) {
    if (refusal !== undefined) return { error: ruleError(refusal), rule: `rules ${level} ${refusal.rule}` };
  }
  return together && { error: ruleError(together), rule: `rules of all levels together ${together.rule}` };
}

function candidateVerdict(rules: Rules, candidate: ImaginedCandidate): CandidateVerdict {
  const reason = !providerNamed(rules, candidate.provider)
    ? "its provider is not allowed"
    : regionNamed(rules, candidate.region)
      ? ""
      : candidate.region === ""
        ? "its region is not stated"
        : "its region is not allowed";
  return { candidate, allowed: reason === "", reason };
}

function candidateRefusal(model: string, candidates: readonly CandidateVerdict[]): Refusal | undefined {
  if (candidates.length === 0 || candidates.some(({ allowed }) => allowed)) return undefined;
  const message = `No provider that this key may use serves "${model.slice(0, 256)}".`;
  return {
    error: new WeirError("model_not_allowed", message, { param: "model" }),
    rule: "rules providers and regions",
  };
}

/** As the ingress does: the dearest that may serve it. Undefined where one of them has no bound. */
function holdOf(candidates: readonly CandidateVerdict[]): Amounts | undefined {
  const allowed = candidates.filter((candidate) => candidate.allowed).map(({ candidate }) => candidate.bound);
  if (allowed.length === 0) return undefined;
  let hold: Amounts = { costNanos: 0n, tokens: 0n };
  for (const bound of allowed) {
    if (bound === undefined) return undefined;
    hold = { costNanos: larger(hold.costNanos, bound.costNanos), tokens: larger(hold.tokens, bound.tokens) };
  }
  return hold;
}

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
