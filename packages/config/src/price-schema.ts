import type { Nanos } from "@weir/kernel";
import { z } from "zod";
import type { ContractConfig, PriceConfig, RatesConfig } from "./types.ts";
import { dollarsNanos } from "./units.ts";

/** What an operator says about prices: over the price book for a model, or negotiated with a provider. */

export const dollars = z.union([z.string(), z.number()]).transform((value, context): Nanos => {
  try {
    return dollarsNanos(value);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : "is not valid" });
    return z.NEVER;
  }
});

const rates = {
  input_usd_per_mtok: dollars,
  output_usd_per_mtok: dollars,
  /** Default: as other input. */
  cached_input_usd_per_mtok: dollars.optional(),
  cache_write_usd_per_mtok: dollars.optional(),
  /** Default: as other writes. */
  cache_write_1h_usd_per_mtok: dollars.optional(),
  audio_input_usd_per_mtok: dollars.optional(),
  image_input_usd_per_mtok: dollars.optional(),
  /** Default: as other output. */
  audio_output_usd_per_mtok: dollars.optional(),
  image_output_usd_per_mtok: dollars.optional(),
  reasoning_usd_per_mtok: dollars.optional(),
};

const tokens = z.number().int().min(1).max(4_294_967_295);
const calls = z.number().int().min(1).max(1_000_000);

export const price = z.strictObject({
  ...rates,
  request_usd: dollars.prefault(0),
  /** What tokens cost at the rates of batches and of answers that may take their time. Default: as always. */
  batch_percent: z.number().int().min(1).max(100).optional(),
  /** Other rates for all tokens of a request whose input is longer. */
  long_context: z.array(z.strictObject({ above_input_tokens: tokens, ...rates })).default([]),
  /** For each call of a tool that the provider runs. Default: the price book's. */
  tools: z
    .strictObject({
      web_search_usd: dollars.optional(),
      file_search_usd: dollars.optional(),
      code_session_usd: dollars.optional(),
      other_usd: dollars.optional(),
      /** The most calls for a request that states no limit of its own. Default: unknown. */
      max_calls: calls.optional(),
    })
    .optional(),
});

const day = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?$/, 'is not a day ("2026-01-31") or a time in UTC')
  .transform((text, context) => {
    const ms = Date.parse(text);
    if (!Number.isNaN(ms)) return ms;
    context.addIssue({ code: "custom", message: "is not a day" });
    return z.NEVER;
  });

const pattern = z.string().regex(/^[^\s\p{C}]{1,256}$/u, "is not a model name: 1 to 256 characters without spaces");

export const contract = z
  .strictObject({
    provider: z.string().min(1),
    /** Empty: all. A name may end in "*". */
    models: z.array(pattern).default([]),
    /** Empty: all. */
    workspaces: z.array(z.string().min(1)).default([]),
    /** From the beginning of this day on, in UTC. Default: since ever. */
    from: day.optional(),
    /** Up to the beginning of this day. Default: without an end. */
    to: day.optional(),
    price: price.optional(),
    /** Off the price of tokens. */
    discount_percent: z.number().min(0).max(100).multipleOf(0.01).optional(),
  })
  .refine(
    (given) => (given.price === undefined) !== (given.discount_percent === undefined),
    "needs exactly one of price and discount_percent",
  )
  .refine(({ from, to }) => from === undefined || to === undefined || from < to, "ends before it begins");

type Rates = Pick<z.infer<typeof price>, keyof typeof rates>;

const completeRates = (from: Rates): RatesConfig => ({
  inputNanosPerMtok: from.input_usd_per_mtok,
  outputNanosPerMtok: from.output_usd_per_mtok,
  cachedInputNanosPerMtok: from.cached_input_usd_per_mtok,
  cacheWriteNanosPerMtok: from.cache_write_usd_per_mtok,
  cacheWriteLongNanosPerMtok: from.cache_write_1h_usd_per_mtok,
  audioInputNanosPerMtok: from.audio_input_usd_per_mtok,
  imageInputNanosPerMtok: from.image_input_usd_per_mtok,
  audioOutputNanosPerMtok: from.audio_output_usd_per_mtok,
  imageOutputNanosPerMtok: from.image_output_usd_per_mtok,
  reasoningNanosPerMtok: from.reasoning_usd_per_mtok,
});

export function completePrice(from: z.infer<typeof price>): PriceConfig {
  const { tools } = from;
  return {
    ...completeRates(from),
    requestNanos: from.request_usd,
    batchPercent: from.batch_percent ?? 0,
    tiers: from.long_context
      .map((tier) => ({ ...completeRates(tier), aboveInputTokens: tier.above_input_tokens }))
      .sort((one, other) => one.aboveInputTokens - other.aboveInputTokens),
    tools: tools && {
      webSearchNanos: tools.web_search_usd,
      fileSearchNanos: tools.file_search_usd,
      codeSessionNanos: tools.code_session_usd,
      otherNanos: tools.other_usd,
      maxCalls: tools.max_calls ?? 0,
    },
  };
}

export const completeContract = (id: string, from: z.infer<typeof contract>): ContractConfig => ({
  id,
  provider: from.provider,
  models: from.models,
  workspaces: from.workspaces,
  fromMs: from.from ?? 0,
  toMs: from.to ?? 0,
  price: from.price && completePrice(from.price),
  discountBasisPoints: Math.round((from.discount_percent ?? 0) * 100),
});
