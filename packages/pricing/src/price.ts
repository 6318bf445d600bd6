import { type Nanos, nanos } from "@weir/kernel";

/** Nano-USD per million tokens: $1 per million is 1_000_000_000n. At this grain every published price is a whole number. */
export interface Rates {
  readonly inputNanosPerMtok: bigint;
  readonly outputNanosPerMtok: bigint;
  readonly cachedInputNanosPerMtok: bigint;
  readonly cacheWriteNanosPerMtok: bigint;
  readonly cacheWriteLongNanosPerMtok: bigint;
  readonly audioInputNanosPerMtok: bigint;
  readonly audioOutputNanosPerMtok: bigint;
}

/** What a model costs. The fields are those of weir.common.v1.Price, so that the message is a Price as it stands. */
export interface Price extends Rates {
  /** Per request. */
  readonly requestNanos: bigint;
  /** Which book and which edition of it: "genai-prices@0.1.8", "config". */
  readonly version: string;
  /** In ascending order. The last one that a request's input is above counts, for all of its tokens (Gemini's and OpenAI's long context). */
  readonly tiers: readonly PriceTier[];
}

export interface PriceTier extends Rates {
  readonly aboveInputTokens: number;
}

/** Tokens of one request. Totals include their parts: input >= cached + cacheWrite, cacheWrite >= cacheWriteLong, output >= reasoning. */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly cacheWriteLongTokens?: number | undefined;
  readonly audioInputTokens?: number | undefined;
  readonly audioOutputTokens?: number | undefined;
}

const MTOK = 1_000_000n;

/**
 * What a request did cost, rounded up to the next nano-dollar. Reasoning tokens are output tokens and cost what those cost.
 * Parts that exceed their total (a provider's miscount) are charged as they are: never less than what was reported.
 */
export function costOf(usage: TokenUsage, price: Price): Nanos {
  const rates = ratesFor(usage.inputTokens, price);
  const written = usage.cacheWriteTokens;
  const writtenLong = Math.min(usage.cacheWriteLongTokens ?? 0, written);
  const audioIn = usage.audioInputTokens ?? 0;
  const audioOut = usage.audioOutputTokens ?? 0;
  const plainIn = usage.inputTokens - usage.cachedInputTokens - written - audioIn;
  const plainOut = usage.outputTokens - audioOut;
  let sum = times(plainIn, rates.inputNanosPerMtok) + times(plainOut, rates.outputNanosPerMtok);
  // Most requests have none of these, and bigint arithmetic is what this function costs.
  if (usage.cachedInputTokens > 0) sum += times(usage.cachedInputTokens, rates.cachedInputNanosPerMtok);
  if (written > writtenLong) sum += times(written - writtenLong, rates.cacheWriteNanosPerMtok);
  if (writtenLong > 0) sum += times(writtenLong, rates.cacheWriteLongNanosPerMtok);
  if (audioIn > 0) sum += times(audioIn, rates.audioInputNanosPerMtok);
  if (audioOut > 0) sum += times(audioOut, rates.audioOutputNanosPerMtok);
  return nanos((sum + MTOK - 1n) / MTOK + price.requestNanos);
}

const times = (tokens: number, rate: bigint): bigint => (tokens > 0 ? BigInt(tokens) * rate : 0n);

export function ratesFor(inputTokens: number, price: Price): Rates {
  let rates: Rates = price;
  for (const tier of price.tiers) if (inputTokens > tier.aboveInputTokens) rates = tier;
  return rates;
}

/**
 * A price whose missing rates are derived: cached input, cache writes and sound cost what input (output) costs where nothing else is said.
 * @throws never; the caller has checked that the amounts are >= 0
 */
export function flatPrice(
  rates: Partial<Rates> & { readonly inputNanosPerMtok: bigint },
  version: string,
  requestNanos = 0n,
): Price {
  return { ...completeRates(rates), requestNanos, version, tiers: [] };
}

export function completeRates(rates: Partial<Rates> & { readonly inputNanosPerMtok: bigint }): Rates {
  const input = rates.inputNanosPerMtok;
  const output = rates.outputNanosPerMtok ?? 0n;
  const write = rates.cacheWriteNanosPerMtok ?? input;
  return {
    inputNanosPerMtok: input,
    outputNanosPerMtok: output,
    cachedInputNanosPerMtok: rates.cachedInputNanosPerMtok ?? input,
    cacheWriteNanosPerMtok: write,
    cacheWriteLongNanosPerMtok: rates.cacheWriteLongNanosPerMtok ?? write,
    audioInputNanosPerMtok: rates.audioInputNanosPerMtok ?? input,
    audioOutputNanosPerMtok: rates.audioOutputNanosPerMtok ?? output,
  };
}
