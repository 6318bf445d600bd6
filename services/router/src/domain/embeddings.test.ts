import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JsonObject, parseEmbeddingsRequest } from "@weir/dialects";
import { geminiEmbeddingsUsage, parseGeminiEmbeddings, renderGeminiEmbeddings } from "./embeddings.ts";

describe("embeddings of Gemini", () => {
  it("are asked for one request a text", () => {
    const request = parseEmbeddingsRequest({ model: "m", input: ["a", "b"], dimensions: 3 });
    expect(renderGeminiEmbeddings("gemini-embedding-001", request)).toEqual({
      requests: ["a", "b"].map((text) => ({
        model: "models/gemini-embedding-001",
        content: { parts: [{ text }] },
        outputDimensionality: 3,
      })),
    });
  });

  it("come back as floats, as many as there were texts", () => {
    const body = { embeddings: [{ values: [0.5, -0.25] }], usageMetadata: { promptTokenCount: 7 } };
    expect(parseGeminiEmbeddings("m", body, 1)).toMatchObject({
      embeddings: [Float32Array.from([0.5, -0.25])],
      usage: { inputTokens: 7, estimated: false },
    });
    expect(() => parseGeminiEmbeddings("m", body, 2)).toThrow(
      expect.objectContaining({ reason: "provider_bad_response" }),
    );
    expect(geminiEmbeddingsUsage({})).toBeUndefined();
  });

  it("take texts, not tokens", () => {
    const request = parseEmbeddingsRequest({ model: "m", input: [[1, 2]] });
    expect(() => renderGeminiEmbeddings("m", request)).toThrow(
      expect.objectContaining({ reason: "unsupported", param: "input[0]" }),
    );
  });

  it("are refused as the provider's fault, whatever comes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (embeddings, expected) => {
        try {
          parseGeminiEmbeddings("m", { embeddings } as JsonObject, expected);
        } catch (error) {
          expect(error).toMatchObject({ reason: "provider_bad_response" });
        }
      }),
    );
  });
});
