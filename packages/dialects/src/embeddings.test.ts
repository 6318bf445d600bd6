import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "./core.ts";
import { embeddingsDialects, type EmbeddingsDialectName } from "./embeddings.ts";
import { type EmbeddingsRequest, parseEmbeddingsRequest } from "./openai-embeddings.ts";

const asked = (body: JsonObject): EmbeddingsRequest => parseEmbeddingsRequest({ model: "m", ...body });
const two = asked({ input: ["a", "b"], dimensions: 2, input_type: "search_query" });

/** Documented requests for two texts, and answers to them. */
const WIRES: Record<EmbeddingsDialectName, { request: JsonObject; answer: JsonObject; tokens: number | undefined }> = {
  "openai-embeddings": {
    request: { model: "m", input: ["a", "b"], dimensions: 2, encoding_format: "float", input_type: "search_query" },
    answer: {
      object: "list",
      data: [
        { object: "embedding", index: 1, embedding: [0, 1] },
        { object: "embedding", index: 0, embedding: [0.5, -0.25] },
      ],
      model: "m",
      usage: { prompt_tokens: 7, total_tokens: 7 },
    },
    tokens: 7,
  },
  "gemini-embeddings": {
    request: {
      requests: ["a", "b"].map((text) => ({
        model: "models/m",
        content: { parts: [{ text }] },
        outputDimensionality: 2,
      })),
    },
    answer: { embeddings: [{ values: [0.5, -0.25] }, { values: [0, 1] }] },
    tokens: undefined,
  },
  "vertex-embeddings": {
    request: { instances: [{ content: "a" }, { content: "b" }], parameters: { outputDimensionality: 2 } },
    answer: {
      predictions: [
        { embeddings: { values: [0.5, -0.25], statistics: { token_count: 3, truncated: false } } },
        { embeddings: { values: [0, 1], statistics: { token_count: 4, truncated: false } } },
      ],
    },
    tokens: 7,
  },
  "cohere-embeddings": {
    request: {
      model: "m",
      texts: ["a", "b"],
      input_type: "search_query",
      embedding_types: ["float"],
      output_dimension: 2,
    },
    answer: {
      id: "x",
      embeddings: {
        float: [
          [0.5, -0.25],
          [0, 1],
        ],
      },
      meta: { billed_units: { input_tokens: 7 } },
    },
    tokens: 7,
  },
};
const cases = Object.entries(WIRES) as [EmbeddingsDialectName, (typeof WIRES)[EmbeddingsDialectName]][];

describe.each(cases)("%s", (name, { request, answer, tokens }) => {
  const dialect = embeddingsDialects[name];

  it("asks as documented", () => expect(dialect.renderRequest(two)).toEqual(request));

  it("is read in the order of the inputs, with what it cost", () => {
    const { embeddings, usage, model } = dialect.parseResponse(answer, two);
    expect(embeddings).toEqual([Float32Array.from([0.5, -0.25]), Float32Array.from([0, 1])]);
    expect([model, usage?.inputTokens]).toEqual(["m", tokens]);
  });

  it("is refused where it holds another number of embeddings", () => {
    const three = asked({ input: ["a", "b", "c"] });
    expect(() => dialect.parseResponse(answer, three)).toThrow(
      expect.objectContaining({ reason: "provider_bad_response" }),
    );
  });

  it("takes texts; tokens only where they are the model's own", () => {
    const tokensIn = asked({ input: [[1, 2]] });
    if (name === "openai-embeddings") expect(dialect.renderRequest(tokensIn)["input"]).toEqual([[1, 2]]);
    else
      expect(() => dialect.renderRequest(tokensIn)).toThrow(
        expect.objectContaining({ reason: "unsupported", param: "input[0]" }),
      );
  });

  it("is the provider's fault, whatever comes", () => {
    const [member = ""] = Object.keys(answer);
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          dialect.parseResponse({ ...answer, [member]: value as Json, data: value as Json }, two);
        } catch (error) {
          expect(error).toMatchObject({ reason: "provider_bad_response" });
        }
      }),
    );
  });
});
