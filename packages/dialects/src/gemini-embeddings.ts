import { WeirError } from "@weir/kernel";
import type { Json, JsonObject, Usage } from "./core.ts";
import { parseGenerateUsage } from "./gemini-generate-usage.ts";
import type { EmbeddingsRequest, EmbeddingsResponse } from "./openai-embeddings.ts";
import { output } from "./shape.ts";

/**
 * Writes a batchEmbedContents request (https://ai.google.dev/api/embeddings). The model is in the URL and, as Google wants it, in each of
 * the requests.
 * @throws WeirError unsupported for input that is tokens already: Google takes text
 */
export function renderGeminiEmbeddings(request: EmbeddingsRequest): JsonObject {
  const model = request.model.startsWith("models/") ? request.model : `models/${request.model}`;
  const requests = request.inputs.map((text, at): JsonObject => {
    if (typeof text !== "string")
      throw new WeirError("unsupported", "this model embeds text, not tokens", {
        param: request.bare ? "input" : `input[${at}]`,
      });
    const one: JsonObject = { model, content: { parts: [{ text }] } };
    if (request.dimensions !== undefined) one.outputDimensionality = request.dimensions;
    return one;
  });
  return { requests };
}

/**
 * Reads a batchEmbedContents answer.
 * @param request what was asked: Google does not repeat the model
 * @throws WeirError provider_bad_response
 */
export function parseGeminiEmbeddings(body: JsonObject, request: EmbeddingsRequest): EmbeddingsResponse {
  const list = output.list(body.embeddings, "embeddings");
  const expected = request.inputs.length;
  if (list.length !== expected)
    throw new WeirError(
      "provider_bad_response",
      `the provider answered with ${list.length} embeddings for ${expected} inputs`,
    );
  const embeddings = list.map((one, at) => {
    const path = `embeddings[${at}]`;
    return floatsOf(output.list(output.object(one, path).values, `${path}.values`), path);
  });
  return { model: request.model, embeddings, usage: usageOf(body) };
}

function floatsOf(values: readonly Json[], path: string): Float32Array {
  const floats = new Float32Array(values.length);
  for (const [at, value] of values.entries()) {
    if (typeof value !== "number") throw output.fail(`${path}.values[${at}]`, "a number");
    floats[at] = value;
  }
  return floats;
}

function usageOf(body: JsonObject): Usage | undefined {
  const usage = parseGenerateUsage(body.usageMetadata);
  return usage && { ...usage, outputTokens: 0 };
}
