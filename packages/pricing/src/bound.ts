/**
 * The most that a request can cost, known before it is sent. Policy: err on the high side always. What cannot be bounded costs the whole
 * context window; where that is unknown, too, there is no bound and a hard budget must refuse.
 */
import { type Nanos, nanos } from "@weir/kernel";
import { type Price, type Rates } from "./price.ts";

/** Media of a request, beside its text. */
export interface MediaCounts {
  /** Inline images. Their base64 text need not be in inputBytes. */
  readonly images: number;
  /** Bytes of inline sound, decoded. Its base64 text need not be in inputBytes. */
  readonly audioBytes: number;
  /** Whatever else a provider will read: files, videos, remote images, file ids, previous_response_id, server tools. */
  readonly unbounded: number;
}

export interface RequestSize {
  /** Bytes of the request's body without inline media. */
  readonly inputBytes: number;
  readonly parts: MediaCounts;
  /** How many answers were asked for. */
  readonly n: number;
  /** The cap on each answer's tokens; undefined where there is none. */
  readonly outputCap: number | undefined;
  /** Of the model; undefined where unknown. */
  readonly contextWindow: number | undefined;
  /** Of the model; undefined where unknown. */
  readonly maxOutput: number | undefined;
  /** False: it has neither tools nor a wanted structure, for which providers add instructions of their own. */
  readonly instructed?: boolean | undefined;
  /** False: nothing is certainly written to a cache for an hour (the body has no `"1h"`). */
  readonly longCache?: boolean | undefined;
}

export interface TokenBound {
  readonly inputTokens: number;
  /** Over all answers. */
  readonly outputTokens: number;
  /** False: none of the input can be sound. */
  readonly sound?: boolean | undefined;
  /** False: none of it can be written to a cache for an hour. */
  readonly longCache?: boolean | undefined;
  /** False: none of the input can be a picture or a video. */
  readonly pictures?: boolean | undefined;
}

export const noMedia: MediaCounts = { images: 0, audioBytes: 0, unbounded: 0 };

/** Chat framing beyond what the request's own syntax outweighs ({"role":"user","content":""} has more bytes than framing has tokens). */
export const FRAMING_TOKENS = 64;

/**
 * What providers add by themselves for tools and structured output, at most: Anthropic documents up to 804 tokens for its tool-use system
 * prompt, OpenAI fewer.
 */
export const INSTRUCTION_TOKENS = 1024;

/**
 * The dearest image that a provider documents: gpt-4o-mini counts 2,833 + 5,667 for each of at most eight tiles. Others stay below 17,000
 * (OpenAI's patch models, Anthropic, Gemini, Qwen-VL's default limit of 16,384).
 */
export const IMAGE_TOKENS = 48_169;

/** Gemini counts 32 tokens a second of sound, OpenAI 10; no codec that they take goes below 512 bytes a second. */
const AUDIO_BYTES_PER_TOKEN = 16;

/**
 * @returns undefined where no bound exists: something unbounded, or no cap on the output, and a model whose window is unknown
 */
export function tokensBoundOf(size: RequestSize): TokenBound | undefined {
  const { contextWindow, parts } = size;
  // A byte-level tokenizer makes no token of less than a byte, and JSON writes no text in fewer bytes than it has.
  const counted =
    size.inputBytes +
    FRAMING_TOKENS +
    (size.instructed === false ? 0 : INSTRUCTION_TOKENS) +
    parts.images * IMAGE_TOKENS +
    Math.ceil(parts.audioBytes / AUDIO_BYTES_PER_TOKEN);
  if (parts.unbounded > 0 && contextWindow === undefined) return undefined;
  const inputTokens = parts.unbounded > 0 ? (contextWindow ?? counted) : Math.min(counted, contextWindow ?? counted);
  const perAnswer = smallest(size.outputCap, size.maxOutput, contextWindow);
  if (perAnswer === undefined) return undefined;
  return {
    inputTokens,
    outputTokens: Math.max(1, size.n) * perAnswer,
    sound: parts.audioBytes > 0 || parts.unbounded > 0,
    longCache: size.longCache,
    pictures: parts.images > 0 || parts.unbounded > 0,
  };
}

function smallest(...limits: readonly (number | undefined)[]): number | undefined {
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** The most that a request of this size can cost; undefined as in tokensBoundOf. */
export function boundOf(size: RequestSize, price: Price): Nanos | undefined {
  const tokens = tokensBoundOf(size);
  return tokens === undefined ? undefined : costBoundOf(tokens, price);
}

const MTOK = 1_000_000n;

/** The most that so many tokens can cost: each at the dearest rate that it may have, in the dearest tier that may be reached. */
export function costBoundOf(tokens: TokenBound, price: Price): Nanos {
  let worst = at(tokens, price);
  for (const tier of price.tiers) {
    if (tokens.inputTokens <= tier.aboveInputTokens) break;
    const cost = at(tokens, tier);
    if (cost > worst) worst = cost;
  }
  return nanos((worst + MTOK - 1n) / MTOK + price.requestNanos);
}

function at(tokens: TokenBound, rates: Rates): bigint {
  const input = largest(
    rates.inputNanosPerMtok,
    rates.cachedInputNanosPerMtok,
    rates.cacheWriteNanosPerMtok,
    tokens.longCache === false ? 0n : rates.cacheWriteLongNanosPerMtok,
    tokens.sound === false ? 0n : rates.audioInputNanosPerMtok,
    tokens.sound === false ? 0n : (rates.cachedAudioInputNanosPerMtok ?? 0n),
    tokens.pictures === false ? 0n : (rates.imageInputNanosPerMtok ?? 0n),
  );
  const output = largest(
    rates.outputNanosPerMtok,
    rates.audioOutputNanosPerMtok,
    rates.imageOutputNanosPerMtok ?? 0n,
    rates.reasoningNanosPerMtok ?? 0n,
  );
  return BigInt(tokens.inputTokens) * input + BigInt(tokens.outputTokens) * output;
}

function largest(first: bigint, ...others: readonly bigint[]): bigint {
  let result = first;
  for (const other of others) if (other > result) result = other;
  return result;
}
