/** Gemini's wire format of embeddings (batchEmbedContents), to and from the core. */
import type { EmbeddingsRequest, EmbeddingsResponse, Json, JsonObject, Usage } from "@weir/dialects";
import { WeirError } from "@weir/kernel";

/** @throws WeirError unsupported for input that was tokenized by the client: tokens are one model's own */
export function renderGeminiEmbeddings(model: string, { inputs, dimensions }: EmbeddingsRequest): JsonObject {
  return {
    requests: inputs.map((text, index) => {
      if (typeof text !== "string")
        throw new WeirError("unsupported", "This model takes texts, not tokens.", { param: `input[${index}]` });
      const request: JsonObject = { model: `models/${model}`, content: { parts: [{ text }] } };
      if (dimensions !== undefined) request["outputDimensionality"] = dimensions;
      return request;
    }),
  };
}

/**
 * @param expected how many inputs were sent
 * @throws WeirError provider_bad_response
 */
export function parseGeminiEmbeddings(model: string, body: JsonObject, expected: number): EmbeddingsResponse {
  const { embeddings } = body;
  if (!Array.isArray(embeddings) || embeddings.length !== expected)
    throw new WeirError("provider_bad_response", `The provider's answer does not hold ${expected} embeddings.`);
  return { model, embeddings: embeddings.map(vectorOf), usage: geminiEmbeddingsUsage(body) };
}

function vectorOf(embedding: Json): Float32Array {
  const values = isObject(embedding) ? embedding["values"] : undefined;
  if (!Array.isArray(values) || !values.every((value) => typeof value === "number"))
    throw new WeirError(
      "provider_bad_response",
      "The provider's answer holds an embedding that is no list of numbers.",
    );
  return Float32Array.from(values);
}

/** Newer models tell it; for others it is counted. */
export function geminiEmbeddingsUsage(body: JsonObject): Usage | undefined {
  const usage = body["usageMetadata"];
  const tokens = isObject(usage) ? usage["promptTokenCount"] : undefined;
  return typeof tokens === "number" && tokens >= 0 ? usageOfInput(Math.ceil(tokens), false) : undefined;
}

export const usageOfInput = (inputTokens: number, estimated: boolean): Usage => ({
  inputTokens,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  estimated,
});

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
