import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import {
  embedUsage,
  floatsAsBase64,
  parseEmbedRequest,
  parseEmbedResponse,
  renderEmbedRequest,
  renderEmbedResponse,
} from "./embeddings.ts";

describe("embeddings", () => {
  it("go to Gemini one request a text", () => {
    const request = parseEmbedRequest({ model: "m", input: ["a", "b"], dimensions: 3 });
    expect(renderEmbedRequest("gemini-embeddings", "gemini-embedding-001", request)).toEqual({
      requests: ["a", "b"].map((text) => ({
        model: "models/gemini-embedding-001",
        content: { parts: [{ text }] },
        outputDimensionality: 3,
      })),
    });
  });

  it("come back as floats or base64, as the client asked", () => {
    const response = parseEmbedResponse("gemini-embeddings", "m", { embeddings: [{ values: [0.5, -0.25] }] });
    expect(renderEmbedResponse(response, false)["data"]).toEqual([
      { object: "embedding", index: 0, embedding: [0.5, -0.25] },
    ]);
    const packed = renderEmbedResponse(response, true) as { data: { embedding: string }[] };
    expect(packed.data[0]?.embedding).toBe(floatsAsBase64([0.5, -0.25]));
    const again = parseEmbedResponse("openai-embeddings", "m", packed as unknown as JsonObject);
    expect(again.embeddings).toEqual([[0.5, -0.25]]);
  });

  it("tell usage where there is one", () => {
    expect(embedUsage("openai-embeddings", { usage: { prompt_tokens: 7 } })?.inputTokens).toBe(7);
    expect(embedUsage("gemini-embeddings", {})).toBeUndefined();
  });

  it("refuse tokens for those who take texts, and whatever is no request, as the client's fault", () => {
    expect(() => parseEmbedRequest({ model: "m", input: [1, 2] })).toThrow(
      expect.objectContaining({ reason: "unsupported", param: "input" }),
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom("model", "input", "dimensions", "encoding_format"), fc.jsonValue()),
        (body) => {
          try {
            parseEmbedRequest(body as JsonObject);
          } catch (error) {
            expect(error).toBeInstanceOf(WeirError);
          }
          try {
            parseEmbedResponse("openai-embeddings", "m", body as JsonObject);
          } catch (error) {
            expect(error).toMatchObject({ reason: "provider_bad_response" });
          }
        },
      ),
    );
  });
});
