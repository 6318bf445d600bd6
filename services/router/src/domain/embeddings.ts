/**
 * The wire formats of embeddings: OpenAI's (POST /embeddings) and Gemini's (batchEmbedContents), to and from the core.
 */
import type { Json, JsonObject, Usage } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { EmbedRequest, EmbedResponse } from "./call.ts";
import type { EmbedWire } from "./wire.ts";

/** @throws WeirError invalid_request, or unsupported for input that was tokenized by the client */
export function parseEmbedRequest(body: JsonObject): EmbedRequest & { readonly base64: boolean } {
  const { model, input, dimensions, encoding_format: format, user } = body;
  if (typeof model !== "string" || model === "") throw invalid("model", "must be a name");
  const inputs = typeof input === "string" ? [input] : input;
  if (!Array.isArray(inputs) || inputs.length === 0) throw invalid("input", "must be a text or a list of texts");
  if (typeof inputs[0] === "number" || Array.isArray(inputs[0]))
    throw new WeirError("unsupported", "This model takes texts, not tokens.", { param: "input" });
  if (!inputs.every((text) => typeof text === "string")) throw invalid("input", "must be a text or a list of texts");
  if (dimensions !== undefined && !(Number.isInteger(dimensions) && Number(dimensions) > 0))
    throw invalid("dimensions", "must be a positive integer");
  if (format !== undefined && format !== "float" && format !== "base64")
    throw invalid("encoding_format", 'must be "float" or "base64"');
  return {
    model,
    inputs,
    dimensions: dimensions === undefined ? undefined : Number(dimensions),
    user: typeof user === "string" ? user : "",
    base64: format === "base64",
  };
}

const invalid = (param: string, what: string): WeirError =>
  new WeirError("invalid_request", `${param} ${what}.`, { param });

export function renderEmbedRequest(wire: EmbedWire, model: string, request: EmbedRequest): JsonObject {
  const { inputs, dimensions, user } = request;
  if (wire === "openai-embeddings")
    return {
      model,
      input: [...inputs],
      ...(dimensions === undefined ? {} : { dimensions }),
      ...(user === "" ? {} : { user }),
    };
  return {
    requests: inputs.map((text) => ({
      model: `models/${model}`,
      content: { parts: [{ text }] },
      ...(dimensions === undefined ? {} : { outputDimensionality: dimensions }),
    })),
  };
}

/** @throws WeirError provider_bad_response */
export function parseEmbedResponse(wire: EmbedWire, model: string, body: JsonObject): EmbedResponse {
  const list = wire === "openai-embeddings" ? body["data"] : body["embeddings"];
  if (!Array.isArray(list)) throw bad("holds no embeddings");
  const member = wire === "openai-embeddings" ? "embedding" : "values";
  const embeddings = list.map((item) => vectorOf(isObject(item) ? item[member] : undefined));
  const name = typeof body["model"] === "string" ? body["model"] : model;
  return { model: name, embeddings, usage: embedUsage(wire, body) };
}

function vectorOf(value: Json | undefined): number[] {
  if (typeof value === "string") {
    const bytes = Buffer.from(value, "base64");
    if (bytes.length % 4 !== 0) throw bad("holds an embedding that is no list of floats");
    return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
  }
  if (!Array.isArray(value) || !value.every((number) => typeof number === "number"))
    throw bad("holds an embedding that is no list of numbers");
  return value;
}

const bad = (what: string): WeirError => new WeirError("provider_bad_response", `The provider's answer ${what}.`);

export function embedUsage(wire: EmbedWire, body: JsonObject): Usage | undefined {
  const usage = wire === "openai-embeddings" ? body["usage"] : body["usageMetadata"];
  if (!isObject(usage)) return undefined;
  const tokens = usage[wire === "openai-embeddings" ? "prompt_tokens" : "promptTokenCount"];
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

/** For a client, in OpenAI's shape. */
export function renderEmbedResponse(response: EmbedResponse, base64: boolean): JsonObject {
  const tokens = response.usage?.inputTokens ?? 0;
  return {
    object: "list",
    data: response.embeddings.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: base64 ? floatsAsBase64(vector) : [...vector],
    })),
    model: response.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

export function floatsAsBase64(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  vector.forEach((number, index) => bytes.writeFloatLE(number, index * 4));
  return bytes.toString("base64");
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
