import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "./core.ts";
import {
  base64OfFloats,
  floatsOfBase64,
  parseEmbeddingsRequest,
  parseEmbeddingsResponse,
  renderEmbeddingsRequest,
  renderEmbeddingsResponse,
} from "./openai-embeddings.ts";

describe("an embeddings request", () => {
  it("comes back as it was", () => {
    for (const input of ["a", ["a", "b"], [1, 2], [[1, 2], [3]]] satisfies Json[]) {
      const body: JsonObject = { model: "m", input, encoding_format: "base64", dimensions: 3, user: "u", made_up: [1] };
      expect(renderEmbeddingsRequest(parseEmbeddingsRequest(body))).toEqual(body);
    }
    expect(parseEmbeddingsRequest({ model: "m", input: [1, 2] }).inputs).toEqual([[1, 2]]);
  });

  it("names the parameter at fault", () => {
    for (const [body, param] of [
      [{ model: "m" }, "input"],
      [{ model: "m", input: [] }, "input"],
      [{ model: "m", input: ["a", 1] }, "input[1]"],
      [{ input: "a" }, "model"],
      [{ model: "m", input: "a", encoding_format: "hex" }, "encoding_format"],
    ] as const)
      expect(() => parseEmbeddingsRequest(body as unknown as JsonObject)).toThrow(
        expect.objectContaining({ reason: "invalid_request", param }),
      );
  });
});

describe("an embeddings response", () => {
  const request = parseEmbeddingsRequest({ model: "m", input: ["a", "b"] });

  it("is written in the client's encoding, whatever the provider used", () => {
    const floats = new Float32Array([0.1, -2.5]);
    const usage = { prompt_tokens: 4, total_tokens: 4 };
    const data: Json[] = [
      { object: "embedding", index: 1, embedding: [1, 2] },
      { object: "embedding", index: 0, embedding: base64OfFloats(floats) },
    ];
    const parsed = parseEmbeddingsResponse({ object: "list", model: "m", data, usage }, 2);
    expect(parsed.usage).toMatchObject({ inputTokens: 4, outputTokens: 0 });
    expect(renderEmbeddingsResponse(parsed, request)).toEqual({
      object: "list",
      model: "m",
      usage,
      data: [
        { object: "embedding", index: 0, embedding: [0.1, -2.5] },
        { object: "embedding", index: 1, embedding: [1, 2] },
      ],
    });
    const base64 = renderEmbeddingsResponse(parsed, { ...request, encoding: "base64" }).data;
    expect(base64).toMatchObject([{ embedding: Buffer.from(floats.buffer).toString("base64") }, {}]);
  });

  it("must answer every input", () => {
    expect(() => parseEmbeddingsResponse({ data: [{ embedding: [1] }] }, 2)).toThrow(
      expect.objectContaining({ reason: "provider_bad_response" }),
    );
    const twice = [
      { index: 0, embedding: [1] },
      { index: 0, embedding: [1] },
    ];
    expect(() => parseEmbeddingsResponse({ data: twice }, 2)).toThrow(WeirError);
  });
});

describe("base64 of floats", () => {
  it("reads back as it was", () => {
    fc.assert(
      fc.property(fc.float32Array({ maxLength: 5000, noNaN: true }), (floats) => {
        expect(floatsOfBase64(base64OfFloats(floats), "x")).toEqual(floats);
      }),
      { numRuns: 30 },
    );
    expect(() => floatsOfBase64("!", "x")).toThrow(WeirError);
    expect(() => floatsOfBase64("AAA=", "x")).toThrow(WeirError);
  });
});
