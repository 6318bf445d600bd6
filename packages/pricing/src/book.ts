/**
 * Published prices: those of @pydantic/genai-prices, whose edition is the version of this package's dependency. A model that the book does
 * not know, or knows by units that nobody counts here, has no price; it never costs zero.
 */
import type { ConditionalPrice, ModelInfo, ModelPrice, Provider } from "@pydantic/genai-prices";
import { priceOf } from "./book-units.ts";
import type { Price } from "./price.ts";
import { FEES_EDITION } from "./tool-fees.ts";

export interface ModelFacts {
  /** Undefined: unknown. */
  readonly price: Price | undefined;
  /** Undefined: unknown. */
  readonly contextWindow: number | undefined;
}

/** A price from a moment on; it ends where the next one begins. */
export interface PriceFrom {
  /** 0: since ever. */
  readonly fromMs: number;
  /** Undefined: unknown. */
  readonly price: Price | undefined;
}

export interface PriceBook {
  readonly version: string;
  /**
   * @param provider the book's name of it: "openai", "anthropic", "google", "groq", …
   * @param nowMs for prices that begin on a date
   */
  facts(provider: string, model: string, nowMs: number): ModelFacts;
  /** All that it knows of a model's price, the oldest first, also of what is yet to come. Empty: unknown. */
  schedule(provider: string, model: string): readonly PriceFrom[];
  /** Names of a provider's models that have a price and are not deprecated. */
  models(provider: string, nowMs: number): readonly string[];
}

export const BUNDLED = "genai-prices@0.1.8";

const unknown: ModelFacts = { price: undefined, contextWindow: undefined };

/** Loads the book: about 8 MB, so only where some model needs it. */
export async function loadPriceBook(): Promise<PriceBook> {
  const { calcPrice, findProvider } = await import("@pydantic/genai-prices");
  return bookOf((providerId) => findProvider({ providerId }), calcPrice, BUNDLED);
}

/**
 * Another edition, in the form in which the project publishes its data (prices/new_data/v2/data.json).
 * @throws TypeError where it is not in that form
 */
export async function readPriceBook(data: unknown, version: string): Promise<PriceBook> {
  const { calcPrice } = await import("@pydantic/genai-prices");
  const known = new Map<string, Provider>();
  const listed: readonly unknown[] = Array.isArray(data) ? data : [];
  for (const one of listed) {
    if (!isProvider(one))
      throw new TypeError("this is no price book: each of its entries is a provider with its models");
    known.set(one.id, one);
  }
  if (known.size === 0) throw new TypeError("this is no price book: a list of providers");
  return bookOf((id) => known.get(id), calcPrice, version);
}

const isProvider = (value: unknown): value is Provider =>
  typeof value === "object" && value !== null && "id" in value && "models" in value && Array.isArray(value.models);

type Calculate = typeof import("@pydantic/genai-prices")["calcPrice"];

function bookOf(providerOf: (id: string) => Provider | undefined, calculate: Calculate, edition: string): PriceBook {
  const version = `${edition}+${FEES_EDITION}`;
  // Its calculation is only asked which model is meant: aliases, dated names and prefixes are its knowledge.
  const find = (provider: string, model: string): ModelInfo | undefined => {
    // OpenRouter's ending for a search on the web, which is paid for by itself.
    if (provider === "openrouter" && model.endsWith(":online")) return undefined;
    const known = providerOf(provider);
    return known === undefined ? undefined : (calculate({}, model, { provider: known })?.model ?? undefined);
  };
  return {
    version,
    facts(provider, model, nowMs) {
      const found = find(provider, model);
      return found === undefined ? unknown : factsOf(found, nowMs, { book: provider, model, version });
    },
    schedule(provider, model) {
      const found = find(provider, model);
      return found === undefined ? [] : scheduleOf(found, { book: provider, model, version });
    },
    models(provider, nowMs) {
      const offered = (providerOf(provider)?.models ?? []).filter(
        (one) =>
          one.deprecated !== true &&
          factsOf(one, nowMs, { book: provider, model: one.id, version }).price !== undefined,
      );
      return offered.map(({ id }) => id);
    },
  };
}

export const emptyPriceBook: PriceBook = {
  version: "none",
  facts: () => unknown,
  schedule: () => [],
  models: () => [],
};

/** Whose price it is, for what the book does not say itself. */
export interface PriceName {
  readonly book: string;
  readonly model: string;
  readonly version: string;
}

type Priced = Pick<ModelInfo, "prices" | "context_window">;

export function factsOf(model: Priced, nowMs: number, name: PriceName): ModelFacts {
  const schedule = scheduleOf(model, name);
  let price: Price | undefined;
  for (const one of schedule) if (one.fromMs <= nowMs) price = one.price;
  return { price, contextWindow: model.context_window };
}

export function scheduleOf({ prices }: Priced, name: PriceName): PriceFrom[] {
  if (!Array.isArray(prices)) return [{ fromMs: 0, price: priceOf(prices, name) }];
  const starts = new Set([0]);
  for (const { constraint } of prices)
    if (constraint?.type === "start_date") starts.add(Date.parse(constraint.start_date));
  return [...starts]
    .sort((a, b) => a - b)
    .map((fromMs) => {
      const known = pricesAt(prices, fromMs).map((one) => priceOf(one, name));
      // Where the hour of the day decides, the dearest is taken: a hold and its charge may fall into different hours.
      return { fromMs, price: known.reduce<Price | undefined>(dearer, undefined) };
    });
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
