/**
 * The most that a request can cost, which is what its hold takes. Errs on the high side always: a bound that is exceeded is an alarm.
 * Unknown price or unknown size with a budget on the path: refused, never taken as zero.
 */
import { nanos, WeirError } from "@weir/kernel";
import {
  anyTools,
  costBoundOf,
  type Price,
  priceAt,
  type PricePlan,
  tokensBoundOf,
  type ToolBound,
  toolCostBound,
} from "@weir/pricing";
import { providerAllowed } from "@weir/rules";
import { BYTES_PER_TOKEN, type Grant } from "./grant.ts";
import type { RequestShape } from "./shape.ts";
import { DEFAULT_TOOL_CALLS } from "./tool-use.ts";

/** A provider's model that may serve a name. */
export interface Candidate {
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  /** Whose price counts when; where none does, it is unknown. */
  readonly plan: PricePlan;
  /** 0: unknown. */
  readonly contextWindow: number;
  readonly maxOutputTokens: number;
  /** The router can count what it reads, if it has to be known better than by its bytes. */
  readonly countsTokens: boolean;
  /** What it is known to be able to. */
  readonly capabilities?: ReadonlySet<Capability>;
}

export const CAPABILITIES = ["tools", "images", "audio", "documents", "structured_output", "reasoning"] as const;
export type Capability = (typeof CAPABILITIES)[number];

export interface Bound {
  readonly costNanos: bigint;
  readonly inputTokens: number;
  /** Of all answers together. */
  readonly outputTokens: number;
}

/** Where neither the client, nor a rule, nor the model's own limit caps the output of a request that must be bounded. */
export const DEFAULT_OUTPUT_CAP = 4_096;

export const permitted = (candidate: Candidate, { key, prepared }: Grant): boolean =>
  prepared.none || providerAllowed(key.rules, candidate.provider, candidate.region);

/**
 * The cap to enforce on each answer; 0: none. A request that takes from a budget always has one: the client's, the rules', else the
 * model's own limit, which changes nothing but makes the bound known.
 */
export function effectiveOutputCap(
  shape: RequestShape,
  grant: Grant,
  candidates: readonly Candidate[] | undefined,
): number {
  const { outputCap } = shape;
  const ruled = grant.key.rules.maxOutputTokens;
  if (outputCap !== undefined) return ruled === 0 ? outputCap : Math.min(outputCap, ruled);
  if (ruled !== 0) return ruled;
  if (!grant.key.hasBudget) return 0;
  let largest = 0;
  for (const candidate of candidates ?? []) {
    const limit = candidate.maxOutputTokens || candidate.contextWindow;
    if (permitted(candidate, grant) && limit > largest) largest = limit;
  }
  return largest === 0 ? DEFAULT_OUTPUT_CAP : largest;
}

const known = (limit: number): number | undefined => (limit === 0 ? undefined : limit);

/** What a request is bounded with, beside what it is. */
export interface BoundTerms {
  /** Of each answer; 0 only for keys without a budget. */
  readonly outputCap: number;
  /** Whose prices count. */
  readonly atMs: number;
  /** As counted: upper bounds of the tokens of its text, by `countedName`. Others count by their bytes. */
  readonly counted?: Counted | undefined;
}

/** Tokens of a request's text for those who count it, by `countedName`. */
export type Counted = ReadonlyMap<string, { readonly tokens: number; readonly textTokens: number }>;

export const countedName = ({ provider, model }: Pick<Candidate, "provider" | "model">): string =>
  `${provider}/${model}`;

/**
 * How long the input is to a rule: the most that any who may serve it reads. What is not text, and whoever does not count, is estimated: a
 * rule about size must not refuse what fits.
 */
export function inputTokensFor(
  shape: RequestShape,
  counted: Counted,
  candidates: readonly Candidate[],
  grant: Grant,
): number {
  let most = 0;
  for (const candidate of candidates) {
    if (!permitted(candidate, grant)) continue;
    const own = counted.get(countedName(candidate));
    const tokens =
      own === undefined
        ? shape.textBytes / BYTES_PER_TOKEN
        : own.textTokens + (own.tokens - own.textTokens) / BYTES_PER_TOKEN;
    most = Math.max(most, Math.ceil(tokens));
  }
  return most;
}

/** The limit to write into a request whose provider's tools have to be bounded, and which states none; 0: none. */
export const toolCallCap = ({ toolUse }: RequestShape, { key }: Grant): number =>
  toolUse?.cappable === true && key.hasBudget ? DEFAULT_TOOL_CALLS : 0;

/** What its provider may run for it; undefined: nothing that is paid for by the call. */
export function toolBoundOf(shape: RequestShape, grant: Grant): ToolBound | undefined {
  const { toolUse } = shape;
  if (toolUse === undefined) return undefined;
  const cap = toolCallCap(shape, grant);
  return cap === 0 ? toolUse.tools : { ...toolUse.tools, calls: cap };
}

/**
 * The bound over the dearest permitted candidate.
 * @throws WeirError model_not_allowed where nobody may serve it; price_unknown, for keys with a budget
 */
export function boundOf(
  shape: RequestShape,
  { outputCap, atMs, counted }: BoundTerms,
  candidates: readonly Candidate[] | undefined,
  grant: Grant,
): Bound {
  const { hasBudget, workspace } = grant.key;
  requirePermitted(shape, candidates, grant);
  if (hasBudget) requirePrices(shape);
  const size = {
    instructed: shape.instructed,
    parts: {
      images: shape.media.images,
      audioBytes: shape.media.audioBytes,
      unbounded: shape.unbounded === undefined ? 0 : 1,
    },
    n: shape.choices,
    outputCap: shape.generates ? known(outputCap) : 0,
  };
  const tools = toolBoundOf(shape, grant);
  let costNanos = 0n;
  let inputTokens = 0;
  let outputTokens = 0;
  let priced = 0;
  for (const candidate of candidates ?? []) {
    if (!permitted(candidate, grant)) continue;
    const price = priceAt(candidate.plan, workspace, atMs);
    const tokens = tokensBoundOf({
      ...size,
      inputBytes: counted?.get(countedName(candidate))?.tokens ?? shape.textBytes,
      contextWindow: known(candidate.contextWindow),
      maxOutput: shape.generates ? known(candidate.maxOutputTokens) : 0,
    });
    const fees = price === undefined ? undefined : feesBoundOf(tools, price);
    if (tokens === undefined || price === undefined || fees === undefined) {
      if (!hasBudget) continue;
      throw tokens !== undefined && price !== undefined ? unboundedTools(shape) : unbounded(shape, price === undefined);
    }
    priced += 1;
    const cost = costBoundOf(tokens, price) + fees;
    if (cost > costNanos) costNanos = cost;
    inputTokens = Math.max(inputTokens, tokens.inputTokens);
    outputTokens = Math.max(outputTokens, tokens.outputTokens);
  }
  if (priced > 0) return { costNanos, inputTokens, outputTokens };
  if (hasBudget) throw unbounded(shape, true);
  return {
    costNanos: 0n,
    inputTokens: Math.ceil(shape.textBytes / BYTES_PER_TOKEN),
    outputTokens: outputCap * shape.choices,
  };
}

const NOTHING = nanos(0n);

/** Most requests have no such tools, and most models call none by themselves. */
function feesBoundOf(tools: ToolBound | undefined, { tools: fees }: Price): bigint | undefined {
  if (tools !== undefined) return toolCostBound(tools, fees);
  return fees?.byItself === true ? toolCostBound(anyTools, fees) : NOTHING;
}

/** As the router would say after all was recorded: who is not permitted has no price that matters. */
function requirePermitted({ model }: RequestShape, candidates: readonly Candidate[] | undefined, grant: Grant): void {
  if (grant.prepared.none || candidates === undefined || candidates.length === 0) return;
  if (candidates.some((candidate) => permitted(candidate, grant))) return;
  const message = `No provider that this key may use serves "${model.slice(0, 256)}".`;
  throw new WeirError("model_not_allowed", message, { param: "model" });
}

function requirePrices({ premium, toolUse }: RequestShape): void {
  const param = premium ?? (toolUse?.unknown === undefined ? undefined : "tools");
  if (param === undefined) return;
  const what = premium ?? toolUse?.unknown?.slice(0, 64);
  throw new WeirError("price_unknown", `No price is known for this "${what}".`, { param });
}

function unboundedTools({ toolUse }: RequestShape): WeirError {
  return new WeirError(
    "price_unknown",
    toolUse?.tools.webSearch === true && toolUse.tools.calls === 0
      ? "How often the provider's tools may be called has no limit (max_uses, max_tool_calls), so they cannot be held against a budget."
      : "No price is known for a tool that the provider runs, so it cannot be held against a budget.",
    { param: "tools" },
  );
}

function unbounded(shape: RequestShape, noPrice: boolean): WeirError {
  const model = shape.model.slice(0, 256);
  return noPrice
    ? new WeirError(
        "price_unknown",
        `No price is known for the model "${model}", so it cannot be held against a budget.`,
        { param: "model" },
      )
    : new WeirError(
        "price_unknown",
        `What "${model}" may read for this request has no bound (${shape.unbounded ?? "its size"}), so it cannot be held against a budget.`,
      );
}
