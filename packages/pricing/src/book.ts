/**
 * Published prices: those of @pydantic/genai-prices, whose edition is the version of this package's dependency. A model that the book does
 * not know, or knows only by other units than tokens, has no price; it never costs zero.
 */
import type { ConditionalPrice, ModelInfo, ModelPrice, TieredPrices } from "@pydantic/genai-prices";
import { nanosOfDollars } from "@weir/kernel";
import { completeRates, type Price, type PriceTier, type Rates } from "./price.ts";

export interface ModelFacts {
  /** Undefined: unknown. */
  readonly price: Price | undefined;
  /** Undefined: unknown. */
  readonly contextWindow: number | undefined;
}

export interface PriceBook {
  readonly version: string;
  /**
   * @param provider the book's name of it: "openai", "anthropic", "google", "groq", …
   * @param nowMs for prices that begin on a date
   */
  facts(provider: string, model: string, nowMs: number): ModelFacts;
  /** Names of a provider's models that have a price and are not deprecated. */
  models(provider: string, nowMs: number): readonly string[];
}

const VERSION = "genai-prices@0.1.8";

const unknown: ModelFacts = { price: undefined, contextWindow: undefined };

/** Loads the book: about 8 MB, so only where some model needs it. */
export async function loadPriceBook(): Promise<PriceBook> {
  const { calcPrice, findProvider } = await import("@pydantic/genai-prices");
  return {
    version: VERSION,
    facts(provider, model, nowMs) {
      // Its calculation is only asked which model is meant: aliases, dated names and prefixes are its knowledge.
      const found = calcPrice({}, model, { providerId: provider, timestamp: new Date(nowMs) });
      return found === null ? unknown : factsOf(found.model, nowMs);
    },
    models(provider, nowMs) {
      const models = findProvider({ providerId: provider })?.models ?? [];
      const offered = models.filter((model) => model.deprecated !== true && factsOf(model, nowMs).price !== undefined);
      return offered.map(({ id }) => id);
    },
  };
}

export const emptyPriceBook: PriceBook = { version: "none", facts: () => unknown, models: () => [] };

export function factsOf(model: Pick<ModelInfo, "prices" | "context_window">, nowMs: number): ModelFacts {
  const prices = Array.isArray(model.prices) ? pricesAt(model.prices, nowMs) : [model.prices];
  const known = prices.map(priceOf);
  // Where the hour of the day decides, the dearest is taken: a hold and its charge may fall into different hours.
  const price = known.reduce<Price | undefined>(dearer, undefined);
  return { price, contextWindow: model.context_window };
}

function pricesAt(conditional: readonly ConditionalPrice[], nowMs: number): ModelPrice[] {
  let base: ModelPrice | undefined;
  const byHour: ModelPrice[] = [];
  for (const { constraint, prices } of conditional) {
    if (constraint?.type === "time_of_date") byHour.push(prices);
    else if (constraint === undefined || Date.parse(constraint.start_date) <= nowMs) base = prices;
  }
  return base === undefined ? byHour : [base, ...byHour];
}

function dearer(one: Price | undefined, other: Price | undefined): Price | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.inputNanosPerMtok + other.outputNanosPerMtok > one.inputNanosPerMtok + one.outputNanosPerMtok
    ? other
    : one;
}

/** The book's units for what Rates holds. */
const UNITS = {
  inputNanosPerMtok: "input_mtok",
  outputNanosPerMtok: "output_mtok",
  cachedInputNanosPerMtok: "cache_read_mtok",
  cacheWriteNanosPerMtok: "cache_write_mtok",
  cacheWriteLongNanosPerMtok: "cache_write_1h_mtok",
  audioInputNanosPerMtok: "input_audio_mtok",
  audioOutputNanosPerMtok: "output_audio_mtok",
} as const satisfies Record<keyof Rates, string>;

function priceOf(book: ModelPrice): Price | undefined {
  const base = ratesAt(book, -1);
  if (base === undefined) return undefined;
  const starts = new Set<number>();
  for (const unit of Object.values(UNITS)) {
    const entry = book[unit];
    if (typeof entry === "object") for (const tier of entry.tiers) starts.add(tier.start);
  }
  const tiers: PriceTier[] = [];
  for (const start of [...starts].sort((a, b) => a - b)) {
    const rates = ratesAt(book, start);
    if (rates !== undefined) tiers.push({ ...rates, aboveInputTokens: start });
  }
  return { ...base, requestNanos: 0n, version: VERSION, tiers };
}

/** @param start of the tier; -1 for the base */
function ratesAt(book: ModelPrice, start: number): Rates | undefined {
  const rates: { -readonly [Name in keyof Rates]?: bigint } = {};
  for (const [name, unit] of Object.entries(UNITS) as [keyof Rates, string][]) {
    const dollars = dollarsAt(book[unit], start);
    if (dollars !== undefined) rates[name] = nanosOfDollars(dollars);
  }
  const { inputNanosPerMtok } = rates;
  return inputNanosPerMtok === undefined ? undefined : completeRates({ ...rates, inputNanosPerMtok });
}

function dollarsAt(entry: number | TieredPrices | undefined, start: number): number | undefined {
  if (typeof entry !== "object") return entry;
  let dollars = entry.base;
  for (const tier of entry.tiers) if (tier.start <= start) dollars = tier.price;
  return dollars;
}
