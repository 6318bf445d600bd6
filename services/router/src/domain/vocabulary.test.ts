import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { countablePieces, vocabularyOf } from "./vocabulary.ts";

test.each([
  ["openai", "gpt-4o-mini", "o200k_base"],
  ["openai", "gpt-4.1", "o200k_base"],
  ["openai", "gpt-5", "o200k_base"],
  ["openai", "o3", "o200k_base"],
  ["openai", "ft:gpt-4o-2024-08-06:acme::id", "o200k_base"],
  ["openai", "gpt-4-turbo", "cl100k_base"],
  ["openai", "gpt-3.5-turbo", "cl100k_base"],
  ["openai", "text-embedding-3-small", "cl100k_base"],
  ["openai", "davinci-002", undefined],
  ["openai-compatible", "gpt-4o", undefined],
  ["anthropic", "claude-haiku-4-5", undefined],
])("the vocabulary of %s/%s", (kind, model, vocabulary) => {
  expect(vocabularyOf(kind, model)).toBe(vocabulary);
});

describe("pieces of a text", () => {
  it("are the text again, none of them with a run that takes too long", () => {
    const run = fc.tuple(fc.constantFrom("a", " ", "漢", "🙂", "!", "\n"), fc.integer({ min: 1, max: 900 }));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 8 }), (runs) => {
        const text = runs.map(([what, times]) => what.repeat(times)).join("");
        const pieces = countablePieces(text);
        expect(pieces.join("")).toBe(text);
        for (const piece of pieces) expect(/\S{512}|\s{512}/u.test(piece)).toBe(false);
      }),
    );
  });

  it("is one where it has ordinary words", () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(500);
    expect(countablePieces(text)).toEqual([text]);
  });
});
