/**
 * The most that a request can cost, which is what its hold takes. Errs on the high side always: a bound that is exceeded is an alarm.
 * Unknown price or unknown size with a budget on the path: refused, never taken as zero.
 */
import { WeirError } from "@weir/kernel";
import { costBoundOf, type Price, tokensBoundOf } from "@weir/pricing";
import { providerAllowed } from "@weir/rules";
import { BYTES_PER_TOKEN, type Grant } from "./grant.ts";
import type { RequestShape } from "./shape.ts";

/** A provider's model that may serve a name. */
export interface Candidate {
  readonly provider: string;
  readonly model: string;
  readonly region: string;
  /** Undefined: unknown. */
  readonly price?: Price | undefined;
  /** 0: unknown. */
  readonly contextWindow: number;
  readonly maxOutputTokens: number;
}

export interface Bound {
  readonly costNanos: bigint;
  readonly inputTokens: number;
  /** Of all answers together. */
  readonly outputTokens: number;
}

/** Where neither the client, nor a rule, nor the model's own limit caps the output of a request that must be bounded. */
export const DEFAULT_OUTPUT_CAP = 4_096;

const permitted = (candidate: Candidate, { key, prepared }: Grant): boolean =>
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

/**
 * The bound over the dearest permitted candidate.
 * @param outputCap of each answer; 0 only for keys without a budget
 * @throws WeirError price_unknown, for keys with a budget
 */
export function boundOf(
  shape: RequestShape,
  outputCap: number,
  candidates: readonly Candidate[] | undefined,
  grant: Grant,
): Bound {
  if (shape.premium !== undefined && grant.key.hasBudget) {
    throw new WeirError("price_unknown", `No price is known for this "${shape.premium}".`, { param: shape.premium });
  }
  const size = {
    inputBytes: shape.textBytes,
    instructed: shape.instructed,
    parts: {
      images: shape.media.images,
      audioBytes: shape.media.audioBytes,
      unbounded: shape.unbounded === undefined ? 0 : 1,
    },
    n: shape.choices,
    outputCap: shape.generates ? known(outputCap) : 0,
    contextWindow: undefined,
    maxOutput: undefined,
  };
  let costNanos = 0n;
  let inputTokens = 0;
  let outputTokens = 0;
  let priced = 0;
  for (const candidate of candidates ?? []) {
    if (!permitted(candidate, grant)) continue;
    const tokens = tokensBoundOf({
      ...size,
      contextWindow: known(candidate.contextWindow),
      maxOutput: shape.generates ? known(candidate.maxOutputTokens) : 0,
    });
    if (tokens === undefined || candidate.price === undefined) {
      if (grant.key.hasBudget) throw unbounded(shape, candidate.price === undefined);
      continue;
    }
    priced += 1;
    const cost = costBoundOf(tokens, candidate.price);
    if (cost > costNanos) costNanos = cost;
    inputTokens = Math.max(inputTokens, tokens.inputTokens);
    outputTokens = Math.max(outputTokens, tokens.outputTokens);
  }
  if (priced > 0) return { costNanos, inputTokens, outputTokens };
  if (grant.key.hasBudget) throw unbounded(shape, true);
  return {
    costNanos: 0n,
    inputTokens: Math.ceil(shape.textBytes / BYTES_PER_TOKEN),
    outputTokens: outputCap * shape.choices,
  };
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
