import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { factsOf, loadPriceBook } from "./book.ts";
import { costOf } from "./price.ts";

const NOW = Date.UTC(2026, 10, 21);
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
    expect(manifest).toContain(`"@pydantic/genai-prices": "${book.version.split("@")[1]}"`);
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
    expect(factsOf({ prices }, Date.UTC(2025, 11, 31)).price?.inputNanosPerMtok).toBe(10_000_000_000n);
    expect(factsOf({ prices }, Date.UTC(2026, 0, 1)).price?.inputNanosPerMtok).toBe(2_000_000_000n);
  });

  it("are the dearest of the day where the hour decides", () => {
    const hours = { type: "time_of_date" as const, start_time: "00:30:00Z", end_time: "16:30:00Z" };
    const dear = { constraint: hours, prices: { input_mtok: 20, output_mtok: 80 } };
    const cheap = { constraint: hours, prices: { input_mtok: 1, output_mtok: 4 } };
    expect(factsOf({ prices: [base, dear] }, NOW).price?.inputNanosPerMtok).toBe(20_000_000_000n);
    expect(factsOf({ prices: [base, cheap] }, NOW).price?.inputNanosPerMtok).toBe(10_000_000_000n);
  });
});
