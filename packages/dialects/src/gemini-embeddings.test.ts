import fc from "fast-check";
import { expect, it } from "vitest";
import { WeirError } from "@weir/kernel";
import type { JsonObject } from "./core.ts";
import { parseGeminiEmbeddings, renderGeminiEmbeddings } from "./gemini-embeddings.ts";
import { parseEmbeddingsRequest } from "./openai-embeddings.ts";

const request = parseEmbeddingsRequest({ model: "gemini-embedding-001", input: ["a", "b"], dimensions: 2 });

it("asks Google for one embedding per text", () => {
  const one = (text: string): JsonObject => ({
    model: "models/gemini-embedding-001",
    content: { parts: [{ text }] },
    outputDimensionality: 2,
  });
  expect(renderGeminiEmbeddings(request)).toEqual({ requests: [one("a"), one("b")] });
  const tokens = parseEmbeddingsRequest({ model: "m", input: [[1, 2]] });
  expect(() => renderGeminiEmbeddings(tokens)).toThrow(
    expect.objectContaining({ reason: "unsupported", param: "input[0]" }),
  );
});

it("reads them in the order of the texts, with what they cost", () => {
  const body = { embeddings: [{ values: [0.5, -1] }, { values: [2, 3] }], usageMetadata: { promptTokenCount: 7 } };
  const { embeddings, usage, model } = parseGeminiEmbeddings(body, request);
  expect(embeddings.map((floats) => [...floats])).toEqual([
    [0.5, -1],
    [2, 3],
  ]);
  expect(usage).toMatchObject({ inputTokens: 7, outputTokens: 0 });
  expect(model).toBe("gemini-embedding-001");
  expect(() => parseGeminiEmbeddings({ embeddings: [{ values: [1] }] }, request)).toThrow("1 embeddings for 2 inputs");
});

it("says of anything else that it cannot be read", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (first, second) => {
      try {
        parseGeminiEmbeddings({ embeddings: [first, { values: second }] as JsonObject[] }, request);
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        expect(error.reason).toBe("provider_bad_response");
      }
    }),
  );
});
