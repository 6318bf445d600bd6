import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { BUNDLED, factsOf, loadPriceBook, readPriceBook, scheduleOf } from "./book.ts";
import { costOf } from "./price.ts";

const NOW = Date.UTC(2026, 10, 21);
const NAME = { book: "test", model: "m", version: "test" };
const book = await loadPriceBook();

describe("the price book", () => {
  it("knows what providers publish", () => {
    const { price, contextWindow } = book.facts("openai", "gpt-4o-mini-2024-07-18", NOW);
    expect(contextWindow).toBe(128_000);
    expect(price).toMatchObject({
      inputNanosPerMtok: 150_000_000n,
      cachedInputNanosPerMtok: 75_000_000n,
      outputNanosPerMtok: 600_000_000n,
      version: book.version,
    });
    expect(book.facts("anthropic", "claude-haiku-4-5", NOW).price).toMatchObject({
      cacheWriteNanosPerMtok: 1_250_000_000n,
      cacheWriteLongNanosPerMtok: 2_000_000_000n,
    });
  });

  it("prices embeddings by their input", () => {
    expect(book.facts("openai", "text-embedding-3-small", NOW).price).toMatchObject({
      inputNanosPerMtok: 20_000_000n,
      outputNanosPerMtok: 0n,
    });
  });

  it("has no price for what it does not know, and for what is not sold by the token; never zero", () => {
    expect(book.facts("openai", "no-such-model", NOW).price).toBeUndefined();
    expect(book.facts("no-such-provider", "gpt-4o-mini", NOW).price).toBeUndefined();
    expect(book.facts("openai", "whisper-1", NOW).price).toBeUndefined();
    expect(book.facts("openrouter", "openai/gpt-oss-20b:free", NOW).price).toBeUndefined();
    expect(book.facts("openrouter", "openai/gpt-4o", NOW).price).toBeDefined();
    expect(book.facts("openrouter", "openai/gpt-4o:online", NOW).price).toBeUndefined();
  });

  it("carries the rates of long inputs", () => {
    const { price } = book.facts("google", "gemini-2.5-pro", NOW);
    if (price === undefined) throw new Error("gemini-2.5-pro has a price");
    const usage = { outputTokens: 100, cachedInputTokens: 0, cacheWriteTokens: 0 };
    expect(costOf({ ...usage, inputTokens: 200_000 }, price)).toBe(251_000_000n);
    expect(costOf({ ...usage, inputTokens: 300_000 }, price)).toBe(751_500_000n);
  });

  it("says the edition that is installed", async () => {
    const manifest = await readFile(new URL("../package.json", import.meta.url), "utf8");
    expect(manifest).toContain(`"@pydantic/genai-prices": "${BUNDLED.split("@")[1]}"`);
    expect(book.version.startsWith(`${BUNDLED}+`)).toBe(true);
  });
});

describe("what is paid beside plain tokens", () => {
  const priceOf = (provider: string, model: string) => {
    const { price } = book.facts(provider, model, NOW);
    if (price === undefined) throw new Error(`${model} has a price`);
    return price;
  };

  it("is the fee of each call of a provider's tool", () => {
    expect(priceOf("openai", "gpt-5").tools).toMatchObject({
      webSearchNanos: 10_000_000n,
      fileSearchNanos: 2_500_000n,
      codeSessionNanos: 30_000_000n,
    });
    expect(priceOf("openai", "gpt-4.1").tools?.previewSearchNanos).toBe(25_000_000n);
    // A search of the small models is billed as 8,000 tokens of input, too.
    expect(priceOf("openai", "gpt-4o-mini").tools?.webSearchNanos).toBe(11_200_000n);
    expect(priceOf("anthropic", "claude-sonnet-4-5").tools?.webSearchNanos).toBe(10_000_000n);
    expect(priceOf("google", "gemini-2.5-flash").tools).toMatchObject({
      webSearchNanos: 35_000_000n,
      searchesPerRequest: true,
    });
    expect(priceOf("google", "gemini-3-pro-preview").tools).toMatchObject({
      webSearchNanos: 14_000_000n,
      searchesPerRequest: false,
    });
  });

  it("is a fee for the request, where the model always searches", () => {
    expect(priceOf("openai", "gpt-4o-search-preview").requestNanos).toBe(25_000_000n);
    expect(priceOf("openai", "gpt-4o-search-preview").tools?.previewSearchNanos).toBe(0n);
    expect(priceOf("openai", "gpt-4o").requestNanos).toBe(0n);
  });

  it("is the rate of the pictures that a model draws", () => {
    const price = priceOf("google", "gemini-2.5-flash-image");
    const usage = { inputTokens: 0, outputTokens: 1290, cachedInputTokens: 0, cacheWriteTokens: 0 };
    expect(costOf({ ...usage, imageOutputTokens: 1290 }, price)).toBe(38_700_000n);
    expect(costOf(usage, price)).toBe(3_225_000n);
  });

  it("is half for what may take its time", () => {
    const usage = { inputTokens: 1_000_000, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0 };
    const price = priceOf("openai", "gpt-4o");
    expect(costOf({ ...usage, batch: true }, price) * 2n).toBe(costOf(usage, price));
  });

  it("leaves no price where it is counted by what nobody counts here", () => {
    expect(
      factsOf({ prices: { input_mtok: 1, output_mtok: 1, output_citation_mtok: 2 } }, NOW, NAME).price,
    ).toBeUndefined();
    expect(factsOf({ prices: { input_mtok: 1, furlongs_kcount: 2 } }, NOW, NAME).price).toBeUndefined();
  });
});

describe("another edition", () => {
  const data = [{ id: "openai", models: [{ id: "gpt-x", match: { equals: "gpt-x" }, prices: { input_mtok: 7 } }] }];

  it("is read from what the project publishes", async () => {
    const other = await readPriceBook(data, "genai-prices@next");
    expect(other.facts("openai", "gpt-x", NOW).price?.inputNanosPerMtok).toBe(7_000_000_000n);
    expect(other.facts("openai", "gpt-4o", NOW).price).toBeUndefined();
    expect(other.facts("anthropic", "claude-haiku-4-5", NOW).price).toBeUndefined();
    expect(other.version).toContain("genai-prices@next");
  });

  it.each([[[]], [{}], [[{ id: "openai" }]], [null]])("is refused where it is none: %j", async (wrong) => {
    await expect(readPriceBook(wrong, "x")).rejects.toThrow(TypeError);
  });
});

describe("prices with conditions", () => {
  const base = { prices: { input_mtok: 10, output_mtok: 40 } };

  it("begin on their date", () => {
    const prices = [
      base,
      {
        constraint: { type: "start_date" as const, start_date: "2026-01-01" },
        prices: { input_mtok: 2, output_mtok: 8 },
      },
    ];
    expect(factsOf({ prices }, Date.UTC(2025, 11, 31), NAME).price?.inputNanosPerMtok).toBe(10_000_000_000n);
    expect(factsOf({ prices }, Date.UTC(2026, 0, 1), NAME).price?.inputNanosPerMtok).toBe(2_000_000_000n);
  });

  it("are all known before they begin", () => {
    const schedule = scheduleOf(
      {
        prices: [
          { prices: { input_mtok: 10 } },
          { constraint: { type: "start_date" as const, start_date: "2027-01-01" }, prices: { input_mtok: 2 } },
        ],
      },
      NAME,
    );
    expect(schedule.map(({ fromMs, price }) => [fromMs, price?.inputNanosPerMtok])).toEqual([
      [0, 10_000_000_000n],
      [Date.UTC(2027, 0, 1), 2_000_000_000n],
    ]);
  });

  it("are the dearest of the day where the hour decides", () => {
    const hours = { type: "time_of_date" as const, start_time: "00:30:00Z", end_time: "16:30:00Z" };
    const dear = { constraint: hours, prices: { input_mtok: 20, output_mtok: 80 } };
    const cheap = { constraint: hours, prices: { input_mtok: 1, output_mtok: 4 } };
    expect(factsOf({ prices: [base, dear] }, NOW, NAME).price?.inputNanosPerMtok).toBe(20_000_000_000n);
    expect(factsOf({ prices: [base, cheap] }, NOW, NAME).price?.inputNanosPerMtok).toBe(10_000_000_000n);
  });
});
