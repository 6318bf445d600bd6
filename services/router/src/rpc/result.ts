import type { common, router } from "@weir/contracts";
import type { Usage } from "@weir/dialects";
import type { WeirError } from "@weir/kernel";
import { type Capabilities, type DatedPrice, type Price, type Rates, type ToolFees } from "@weir/pricing";
import type { Attempt, CacheUse, CallResult, HeaderPair, RawAnswer, Served } from "../domain/call.ts";
import type { Target } from "../domain/target.ts";
import { wireBilling, wireCache, wireFinish, wireReason } from "./names.ts";

/**
 * Messages written out whole: `create` looks its fields up one by one, which costs more than all the rest of a request's routing.
 * The compiler checks that none is missing.
 */

const uint32 = (value: number): number => Math.min(0xffffffff, Math.max(0, Math.ceil(value) || 0));

export function usageMessage(usage: Usage): common.Usage {
  const message: common.Usage = {
    $typeName: "weir.common.v1.Usage",
    inputTokens: uint32(usage.inputTokens),
    outputTokens: uint32(usage.outputTokens),
    cachedInputTokens: uint32(usage.cachedInputTokens),
    cacheWriteTokens: uint32(usage.cacheWriteTokens),
    reasoningTokens: uint32(usage.reasoningTokens),
    estimated: usage.estimated,
    audioInputTokens: uint32(usage.audioInputTokens ?? 0),
    audioOutputTokens: uint32(usage.audioOutputTokens ?? 0),
    cacheWriteLongTokens: uint32(usage.cacheWriteLongTokens ?? 0),
    imageInputTokens: uint32(usage.imageInputTokens ?? 0),
    imageOutputTokens: uint32(usage.imageOutputTokens ?? 0),
    batch: usage.batch === true,
  };
  const { toolCalls } = usage;
  if (toolCalls !== undefined)
    message.toolCalls = {
      $typeName: "weir.common.v1.ToolCalls",
      webSearches: uint32(toolCalls.webSearches),
      previewSearches: uint32(toolCalls.previewSearches),
      fileSearches: uint32(toolCalls.fileSearches),
      codeSessions: uint32(toolCalls.codeSessions),
      others: uint32(toolCalls.others),
    };
  return message;
}

export const servedMessage = ({ provider, model, region, attempt, origin = "" }: Served): router.Served => ({
  $typeName: "weir.router.v1.Served",
  provider,
  model,
  region,
  attempt,
  origin,
});

export function attemptMessage(attempt: Attempt): router.Attempt {
  const message: router.Attempt = {
    $typeName: "weir.router.v1.Attempt",
    attempt: attempt.attempt,
    provider: attempt.provider,
    model: attempt.model,
    region: attempt.region,
    origin: attempt.origin ?? "",
    status: attempt.status,
    error: attempt.error === undefined ? 0 : wireReason(attempt.error.reason),
    costNanos: attempt.costNanos,
    billing: wireBilling(attempt.billing),
    durationUs: uint32(attempt.durationUs),
  };
  if (attempt.usage !== undefined) message.usage = usageMessage(attempt.usage);
  return message;
}

export function errorMessage(error: WeirError): common.ErrorDetail {
  return {
    $typeName: "weir.common.v1.ErrorDetail",
    reason: wireReason(error.reason),
    message: error.message,
    retryAfterMs: uint32(error.retryAfterMs ?? 0),
    upstreamStatus: error.upstreamStatus ?? 0,
    param: error.param ?? "",
  };
}

export const headerMessage = ({ name, value }: HeaderPair): common.Header => ({
  $typeName: "weir.common.v1.Header",
  name,
  value,
});

const MOST_DROPPED = 32;
const LONGEST_DROPPED = 128;

/** Clients choose these names. They go into a header and a record, which must not grow with them. */
export function droppedMessage(dropped: readonly string[]): string[] {
  const named = dropped.slice(0, MOST_DROPPED).map((name) => name.slice(0, LONGEST_DROPPED));
  return dropped.length > MOST_DROPPED ? [...named, `and ${dropped.length - MOST_DROPPED} more`] : named;
}

export function resultMessage(result: CallResult): router.Result {
  let costNanos = 0n;
  for (const attempt of result.attempts) costNanos += attempt.costNanos;
  const message: router.Result = {
    $typeName: "weir.router.v1.Result",
    finishReason: wireFinish(result.finishReason),
    attempts: result.attempts.map(attemptMessage),
    dropped: droppedMessage(result.dropped),
    headers: result.headers.map(headerMessage),
    providerUs: uint32(result.providerUs),
    firstTokenUs: uint32(result.firstTokenUs),
    costNanos,
    priceVersion: result.priceVersion,
  };
  if (result.served !== undefined) message.served = servedMessage(result.served);
  if (result.usage !== undefined) message.usage = usageMessage(result.usage);
  if (result.error !== undefined) message.error = errorMessage(result.error);
  if (result.cache !== undefined) message.cache = cacheMessage(result.cache);
  return message;
}

export const cacheMessage = ({ outcome, ageMs, savedNanos, similarity }: CacheUse): router.CacheUse => ({
  $typeName: "weir.router.v1.CacheUse",
  ...wireCache(outcome),
  ageMs: BigInt(Math.round(ageMs)),
  savedNanos,
  similarity,
});

export const answerMessage = ({ status, contentType, body }: RawAnswer): router.RawAnswer => ({
  $typeName: "weir.router.v1.RawAnswer",
  status,
  contentType,
  body,
});

export function priceMessage(price: Price): common.Price {
  const { requestNanos, version, tiers, tools, batchPercent = 0, ...rates } = price;
  const message: common.Price = {
    $typeName: "weir.common.v1.Price",
    ...allRates(rates),
    requestNanos,
    version,
    tiers: tiers.map((tier) => ({
      $typeName: "weir.common.v1.PriceTier",
      aboveInputTokens: tier.aboveInputTokens,
      ...allRates(tier),
    })),
    batchPercent,
  };
  if (tools !== undefined) message.tools = feesMessage(tools);
  return message;
}

/** Every rate is in the message; 0 says that another one counts. */
const allRates = (rates: Rates): Required<{ [Name in keyof Rates]: bigint }> => ({
  inputNanosPerMtok: rates.inputNanosPerMtok,
  outputNanosPerMtok: rates.outputNanosPerMtok,
  cachedInputNanosPerMtok: rates.cachedInputNanosPerMtok,
  cacheWriteNanosPerMtok: rates.cacheWriteNanosPerMtok,
  cacheWriteLongNanosPerMtok: rates.cacheWriteLongNanosPerMtok,
  audioInputNanosPerMtok: rates.audioInputNanosPerMtok,
  audioOutputNanosPerMtok: rates.audioOutputNanosPerMtok,
  imageInputNanosPerMtok: rates.imageInputNanosPerMtok ?? 0n,
  imageOutputNanosPerMtok: rates.imageOutputNanosPerMtok ?? 0n,
  cachedAudioInputNanosPerMtok: rates.cachedAudioInputNanosPerMtok ?? 0n,
  reasoningNanosPerMtok: rates.reasoningNanosPerMtok ?? 0n,
});

function feesMessage(fees: ToolFees): common.ToolFees {
  const message: common.ToolFees = {
    $typeName: "weir.common.v1.ToolFees",
    searchesPerRequest: fees.searchesPerRequest,
    maxCalls: fees.maxCalls,
    byItself: fees.byItself,
  };
  if (fees.webSearchNanos !== undefined) message.webSearchNanos = fees.webSearchNanos;
  if (fees.previewSearchNanos !== undefined) message.previewSearchNanos = fees.previewSearchNanos;
  if (fees.fileSearchNanos !== undefined) message.fileSearchNanos = fees.fileSearchNanos;
  if (fees.codeSessionNanos !== undefined) message.codeSessionNanos = fees.codeSessionNanos;
  if (fees.otherNanos !== undefined) message.otherNanos = fees.otherNanos;
  return message;
}

const datedMessage = ({ workspace, fromMs, toMs, price }: DatedPrice): router.DatedPrice => {
  const message: router.DatedPrice = {
    $typeName: "weir.router.v1.DatedPrice",
    workspace,
    fromMs: BigInt(fromMs),
    toMs: BigInt(toMs),
  };
  if (price !== undefined) message.price = priceMessage(price);
  return message;
};

const able = ({ tools, images, audio, documents, structuredOutput, reasoning }: Capabilities) => ({
  ...(tools === undefined ? {} : { tools }),
  ...(images === undefined ? {} : { images }),
  ...(audio === undefined ? {} : { audio }),
  ...(documents === undefined ? {} : { documents }),
  ...(structuredOutput === undefined ? {} : { structuredOutput }),
  ...(reasoning === undefined ? {} : { reasoning }),
});

export function candidateMessage(target: Target): router.Candidate {
  const message: router.Candidate = {
    $typeName: "weir.router.v1.Candidate",
    provider: target.provider,
    kind: target.kind,
    model: target.model,
    region: target.region,
    contextWindow: target.contextWindow ?? 0,
    maxOutputTokens: target.maxOutput ?? 0,
    prices: [],
    priceBook: target.priceBook,
    countsTokens: target.vocabulary !== undefined,
    capabilities: { $typeName: "weir.router.v1.ModelCapabilities", ...able(target.capabilities) },
  };
  if (target.price !== undefined) message.price = priceMessage(target.price);
  message.prices = target.plan.dated.map(datedMessage);
  return message;
}
