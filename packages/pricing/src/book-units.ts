import type { ModelPrice, TieredPrices } from "@pydantic/genai-prices";
import { nanosOfDollars } from "@weir/kernel";
import type { PriceName } from "./book.ts";
import { completeRates, type Price, type PriceTier, type Rates } from "./price.ts";
import { requestFeeOf, toolFeesOf } from "./tool-fees.ts";

/** The book's units for what Rates holds. Of two the dearer counts: pictures and video are counted as one. */
const UNITS: Readonly<Record<keyof Rates, readonly string[]>> = {
  inputNanosPerMtok: ["input_mtok"],
  outputNanosPerMtok: ["output_mtok"],
  cachedInputNanosPerMtok: ["cache_read_mtok", "cache_image_read_mtok"],
  cacheWriteNanosPerMtok: ["cache_write_mtok"],
  cacheWriteLongNanosPerMtok: ["cache_write_1h_mtok"],
  audioInputNanosPerMtok: ["input_audio_mtok"],
  audioOutputNanosPerMtok: ["output_audio_mtok"],
  imageInputNanosPerMtok: ["input_image_mtok", "input_video_mtok"],
  imageOutputNanosPerMtok: ["output_image_mtok", "output_video_mtok"],
  cachedAudioInputNanosPerMtok: ["cache_audio_read_mtok"],
  reasoningNanosPerMtok: ["output_reasoning_mtok"],
};
const NAMES = Object.keys(UNITS) as (keyof Rates)[];

const PER_REQUEST = "requests_kcount";
const WEB_SEARCH = "web_searches_kcount";
const FILE_SEARCH = "storage_searches_kcount";
const COUNTED = new Set([...Object.values(UNITS).flat(), PER_REQUEST, WEB_SEARCH, FILE_SEARCH]);

/** @returns undefined for what is sold by other units, too: hours, pages, citations */
export function priceOf(book: ModelPrice, { book: provider, model, version }: PriceName): Price | undefined {
  if (Object.keys(book).some((unit) => book[unit] !== undefined && !COUNTED.has(unit))) return undefined;
  const base = ratesAt(book, -1);
  if (base === undefined) return undefined;
  const starts = new Set<number>();
  for (const unit of Object.values(UNITS).flat()) {
    const entry = book[unit];
    if (typeof entry === "object") for (const tier of entry.tiers) starts.add(tier.start);
  }
  const tiers: PriceTier[] = [];
  for (const start of [...starts].sort((a, b) => a - b)) {
    const rates = ratesAt(book, start);
    if (rates !== undefined) tiers.push({ ...rates, aboveInputTokens: start });
  }
  const published = { webSearchNanos: perCall(book, WEB_SEARCH), fileSearchNanos: perCall(book, FILE_SEARCH) };
  return {
    ...base,
    requestNanos: (perCall(book, PER_REQUEST) ?? 0n) + requestFeeOf(provider, model),
    version,
    tiers,
    tools: toolFeesOf(provider, model, published),
    batchPercent: HALF_IN_BATCHES.has(provider) ? 50 : 0,
  };
}

/** Who asks half for batches and for answers that may take their time (OpenAI's flex), as they publish it. */
const HALF_IN_BATCHES: ReadonlySet<string> = new Set(["openai", "anthropic", "google"]);

function perCall(book: ModelPrice, unit: string): bigint | undefined {
  const dollars = dollarsAt(book[unit], -1);
  return dollars === undefined ? undefined : (nanosOfDollars(dollars) + 999n) / 1000n;
}

/** @param start of the tier; -1 for the base */
function ratesAt(book: ModelPrice, start: number): Rates | undefined {
  const rates: { -readonly [Name in keyof Rates]?: bigint } = {};
  for (const name of NAMES) {
    for (const unit of UNITS[name]) {
      const dollars = dollarsAt(book[unit], start);
      if (dollars === undefined) continue;
      const nanos = nanosOfDollars(dollars);
      if (nanos > (rates[name] ?? -1n)) rates[name] = nanos;
    }
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
