import { type Nanos, nanos } from "@weir/kernel";
import { toolCost, type ToolCalls, type ToolFees, tellsAllFees } from "./tools.ts";

/** Nano-USD per million tokens: $1 per million is 1_000_000_000n. At this grain every published price is a whole number. */
export interface Rates {
  readonly inputNanosPerMtok: bigint;
  readonly outputNanosPerMtok: bigint;
  readonly cachedInputNanosPerMtok: bigint;
  readonly cacheWriteNanosPerMtok: bigint;
  readonly cacheWriteLongNanosPerMtok: bigint;
  readonly audioInputNanosPerMtok: bigint;
  readonly audioOutputNanosPerMtok: bigint;
  /** 0 or absent, of these: as other input (cached: as cached input; output: as other output). */
  readonly imageInputNanosPerMtok?: bigint | undefined;
  readonly imageOutputNanosPerMtok?: bigint | undefined;
  readonly cachedAudioInputNanosPerMtok?: bigint | undefined;
  readonly reasoningNanosPerMtok?: bigint | undefined;
}

/** What a model costs. The fields are those of weir.common.v1.Price, so that the message is a Price as it stands. */
export interface Price extends Rates {
  /** Per request. */
  readonly requestNanos: bigint;
  /** Exactly which price it is: see weir.common.v1.Price. */
  readonly version: string;
  /** In ascending order. The last one that a request's input is above counts, for all of its tokens (Gemini's and OpenAI's long context). */
  readonly tiers: readonly PriceTier[];
  /** Undefined: no tool's fee is known. */
  readonly tools?: ToolFees | undefined;
  /** What tokens cost at the rates of batches, in percent; 0 or absent: as always. */
  readonly batchPercent?: number | undefined;
}

export interface PriceTier extends Rates {
  readonly aboveInputTokens: number;
}

/**
 * Tokens of one request. Totals include their parts: input >= cached + cacheWrite, cacheWrite >= cacheWriteLong, input >= audio + image,
 * output >= audio + image, output >= reasoning.
 */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly reasoningTokens?: number | undefined;
  readonly cacheWriteLongTokens?: number | undefined;
  readonly audioInputTokens?: number | undefined;
  readonly audioOutputTokens?: number | undefined;
  readonly imageInputTokens?: number | undefined;
  readonly imageOutputTokens?: number | undefined;
  /** What the provider ran by itself, and bills by the call. */
  readonly toolCalls?: ToolCalls | undefined;
  /** Answered at the rates of batches. */
  readonly batch?: boolean | undefined;
}

const MTOK = 1_000_000n;

/**
 * What a request did cost, rounded up to the next nano-dollar. Parts that exceed their total (a provider's miscount) are charged as they
 * are: never less than what was reported. Media among cached input count as if they were not cached for as long as there is other input:
 * few providers say which of the two they are.
 * Tools whose fee is unknown add nothing: `versionFor` says so, and no request that may call them is admitted against a budget.
 */
export function costOf(usage: TokenUsage, price: Price): Nanos {
  const rates = price.tiers.length === 0 ? price : ratesFor(usage.inputTokens, price);
  const written = usage.cacheWriteTokens;
  const writtenLong = Math.min(usage.cacheWriteLongTokens ?? 0, written);
  const audioIn = usage.audioInputTokens ?? 0;
  const imageIn = usage.imageInputTokens ?? 0;
  let plainIn = Math.max(0, usage.inputTokens - usage.cachedInputTokens - written);
  let sum = 0n;
  // Most requests have none of these, and bigint arithmetic is what this function costs.
  if (audioIn > 0) {
    const fresh = Math.min(audioIn, plainIn);
    plainIn -= fresh;
    sum += times(fresh, rates.audioInputNanosPerMtok);
    const dearer = (rates.cachedAudioInputNanosPerMtok ?? 0n) - rates.cachedInputNanosPerMtok;
    if (dearer > 0n) sum += times(Math.min(audioIn - fresh, usage.cachedInputTokens), dearer);
  }
  if (imageIn > 0) {
    const fresh = Math.min(imageIn, plainIn);
    plainIn -= fresh;
    sum += times(fresh, rates.imageInputNanosPerMtok || rates.inputNanosPerMtok);
  }
  sum += times(plainIn, rates.inputNanosPerMtok) + outputCost(usage, rates);
  if (usage.cachedInputTokens > 0) sum += times(usage.cachedInputTokens, rates.cachedInputNanosPerMtok);
  if (written > writtenLong) sum += times(written - writtenLong, rates.cacheWriteNanosPerMtok);
  if (writtenLong > 0) sum += times(writtenLong, rates.cacheWriteLongNanosPerMtok);
  if (usage.batch === true && price.batchPercent) sum = (sum * BigInt(price.batchPercent) + 99n) / 100n;
  const tokens = (sum + MTOK - 1n) / MTOK + price.requestNanos;
  return nanos(usage.toolCalls === undefined ? tokens : tokens + toolCost(usage.toolCalls, price.tools));
}

/** Parts that exceed the total are charged as they are here, too. Without a rate of its own reasoning costs what other output costs. */
function outputCost(usage: TokenUsage, rates: Rates): bigint {
  const audio = usage.audioOutputTokens ?? 0;
  const image = usage.imageOutputTokens ?? 0;
  const thought = rates.reasoningNanosPerMtok ? (usage.reasoningTokens ?? 0) : 0;
  let sum = times(usage.outputTokens - audio - image - thought, rates.outputNanosPerMtok);
  if (audio > 0) sum += times(audio, rates.audioOutputNanosPerMtok);
  if (image > 0) sum += times(image, rates.imageOutputNanosPerMtok || rates.outputNanosPerMtok);
  if (thought > 0) sum += times(thought, rates.reasoningNanosPerMtok ?? 0n);
  return sum;
}

const times = (tokens: number, rate: bigint): bigint => (tokens > 0 ? BigInt(tokens) * rate : 0n);

/** The version for a record: it says so where the cost lacks a fee that nobody knows. */
export const versionFor = (usage: TokenUsage | undefined, price: Price): string =>
  usage?.toolCalls === undefined || tellsAllFees(usage.toolCalls, price.tools)
    ? price.version
    : `${price.version}+without-tool-fees`;

export function ratesFor(inputTokens: number, price: Price): Rates {
  let rates: Rates = price;
  for (const tier of price.tiers) if (inputTokens > tier.aboveInputTokens) rates = tier;
  return rates;
}

export type PartialRates = { readonly [Name in keyof Rates]?: bigint | undefined } & {
  readonly inputNanosPerMtok: bigint;
};

/**
 * A price whose missing rates are derived: cached input, cache writes and sound cost what input (output) costs where nothing else is said.
 * @throws never; the caller has checked that the amounts are >= 0
 */
export function flatPrice(rates: PartialRates, version: string, requestNanos = 0n): Price {
  return { ...completeRates(rates), requestNanos, version, tiers: [] };
}

export function completeRates(rates: PartialRates): Rates {
  const input = rates.inputNanosPerMtok;
  const output = rates.outputNanosPerMtok ?? 0n;
  const cached = rates.cachedInputNanosPerMtok ?? input;
  const write = rates.cacheWriteNanosPerMtok ?? input;
  return {
    inputNanosPerMtok: input,
    outputNanosPerMtok: output,
    cachedInputNanosPerMtok: cached,
    cacheWriteNanosPerMtok: write,
    cacheWriteLongNanosPerMtok: rates.cacheWriteLongNanosPerMtok ?? write,
    audioInputNanosPerMtok: rates.audioInputNanosPerMtok ?? input,
    audioOutputNanosPerMtok: rates.audioOutputNanosPerMtok ?? output,
    imageInputNanosPerMtok: rates.imageInputNanosPerMtok ?? 0n,
    imageOutputNanosPerMtok: rates.imageOutputNanosPerMtok ?? 0n,
    cachedAudioInputNanosPerMtok: rates.cachedAudioInputNanosPerMtok ?? 0n,
    reasoningNanosPerMtok: rates.reasoningNanosPerMtok ?? 0n,
  };
}
