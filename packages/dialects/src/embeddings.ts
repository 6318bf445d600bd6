import { WeirError } from "@weir/kernel";
import { parseCohereError } from "./cohere-chat-errors.ts";
import type { Json, JsonObject, Usage } from "./core.ts";
import type { ProviderDialect } from "./dialect.ts";
import { parseGeminiEmbeddings, renderGeminiEmbeddings } from "./gemini-embeddings.ts";
import { parseGenerateError } from "./gemini-generate-errors.ts";
import { parseOpenAiError } from "./openai-errors.ts";
import {
  type EmbeddingsRequest,
  type EmbeddingsResponse,
  parseEmbeddingsResponse,
  renderEmbeddingsRequest,
} from "./openai-embeddings.ts";
import { isObject, output } from "./shape.ts";

export type EmbeddingsDialectName =
  | "openai-embeddings"
  | "gemini-embeddings"
  | "vertex-embeddings"
  | "cohere-embeddings";

/** How a provider is asked for embeddings. Clients speak OpenAI's. */
export interface EmbeddingsDialect {
  /** @throws WeirError unsupported for what the provider cannot embed: tokens, where it takes texts */
  renderRequest(request: EmbeddingsRequest): JsonObject;
  /** @throws WeirError provider_bad_response */
  parseResponse(body: JsonObject, request: EmbeddingsRequest): EmbeddingsResponse;
  parseError: ProviderDialect["parseError"];
}

export const embeddingsDialects: Readonly<Record<EmbeddingsDialectName, EmbeddingsDialect>> = {
  "openai-embeddings": {
    renderRequest: (request) => renderEmbeddingsRequest(request, "float"),
    parseResponse: (body, { inputs }) => parseEmbeddingsResponse(body, inputs.length),
    parseError: parseOpenAiError,
  },
  "gemini-embeddings": {
    renderRequest: renderGeminiEmbeddings,
    parseResponse: parseGeminiEmbeddings,
    parseError: parseGenerateError,
  },
  "vertex-embeddings": {
    renderRequest: renderVertexEmbeddings,
    parseResponse: parseVertexEmbeddings,
    parseError: parseGenerateError,
  },
  "cohere-embeddings": {
    renderRequest: renderCohereEmbeddings,
    parseResponse: parseCohereEmbeddings,
    parseError: parseCohereError,
  },
};

function textsOf({ inputs, bare }: EmbeddingsRequest): string[] {
  return inputs.map((text, at) => {
    if (typeof text === "string") return text;
    throw new WeirError("unsupported", "this model embeds text, not tokens", {
      param: bare ? "input" : `input[${at}]`,
    });
  });
}

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
function renderVertexEmbeddings(request: EmbeddingsRequest): JsonObject {
  const body: JsonObject = { instances: textsOf(request).map((content) => ({ content })) };
  if (request.dimensions !== undefined) body.parameters = { outputDimensionality: request.dimensions };
  return body;
}

function parseVertexEmbeddings(body: JsonObject, request: EmbeddingsRequest): EmbeddingsResponse {
  const predictions = counted(output.list(body.predictions, "predictions"), request);
  let tokens: number | undefined;
  const embeddings = predictions.map((one, at) => {
    const path = `predictions[${at}].embeddings`;
    const embedding = output.object(output.object(one, `predictions[${at}]`).embeddings, path);
    const statistics = isObject(embedding.statistics) ? embedding.statistics : {};
    if (typeof statistics.token_count === "number") tokens = (tokens ?? 0) + statistics.token_count;
    return floatsOf(embedding.values, `${path}.values`);
  });
  return { model: request.model, embeddings, usage: usageOf(tokens) };
}

/** https://docs.cohere.com/reference/embed; models since v3 want to know what for: `input_type` of the client, else documents. */
function renderCohereEmbeddings(request: EmbeddingsRequest): JsonObject {
  const { input_type: purpose, truncate } = request.extra ?? {};
  const body: JsonObject = {
    model: request.model,
    texts: textsOf(request),
    input_type: typeof purpose === "string" ? purpose : "search_document",
    embedding_types: ["float"],
  };
  if (request.dimensions !== undefined) body.output_dimension = request.dimensions;
  if (typeof truncate === "string") body.truncate = truncate;
  return body;
}

function parseCohereEmbeddings(body: JsonObject, request: EmbeddingsRequest): EmbeddingsResponse {
  const list = counted(output.list(output.object(body.embeddings, "embeddings").float, "embeddings.float"), request);
  const embeddings = list.map((values, at) => floatsOf(values, `embeddings.float[${at}]`));
  const meta = isObject(body.meta) ? body.meta : {};
  const billed = isObject(meta.billed_units) ? meta.billed_units.input_tokens : undefined;
  return { model: request.model, embeddings, usage: usageOf(typeof billed === "number" ? billed : undefined) };
}

function counted(list: readonly Json[], { inputs }: EmbeddingsRequest): readonly Json[] {
  if (list.length === inputs.length) return list;
  const message = `the provider answered with ${list.length} embeddings for ${inputs.length} inputs`;
  throw new WeirError("provider_bad_response", message);
}

function floatsOf(value: Json | undefined, path: string): Float32Array {
  const values = output.list(value, path);
  const floats = new Float32Array(values.length);
  for (const [at, number] of values.entries()) {
    if (typeof number !== "number") throw output.fail(`${path}[${at}]`, "a number");
    floats[at] = number;
  }
  return floats;
}

const usageOf = (tokens: number | undefined): Usage | undefined =>
  tokens === undefined || tokens < 0
    ? undefined
    : {
        inputTokens: Math.ceil(tokens),
        outputTokens: 0,
        cachedInputTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        estimated: false,
      };
