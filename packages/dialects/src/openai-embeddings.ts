import { WeirError } from "@weir/kernel";
import type { Json, JsonObject, Usage } from "./core.ts";
import { parseOpenAiUsage } from "./openai-usage.ts";
import { input, isObject, names, output, unknownFields } from "./shape.ts";

/** One text, or one text as the tokens of the model's own tokenizer. */
export type EmbeddingInput = string | number[];

export interface EmbeddingsRequest {
  model: string;
  inputs: EmbeddingInput[];
  /** The client sent its one input bare, not in a list. */
  bare: boolean;
  dimensions?: number | undefined;
  /** What the client wants; providers may be asked for either. */
  encoding: "float" | "base64";
  user?: string | undefined;
  extra?: JsonObject | undefined;
}

export interface EmbeddingsResponse {
  model: string;
  /** In the order of the inputs. */
  embeddings: Float32Array[];
  usage?: Usage | undefined;
  extra?: JsonObject | undefined;
}

const REQUEST_KNOWN = names("model input dimensions encoding_format user");
const RESPONSE_KNOWN = names("object data model usage");

/** @throws WeirError invalid_request */
export function parseEmbeddingsRequest(body: JsonObject): EmbeddingsRequest {
  const encoding = input.optionalString(body.encoding_format, "encoding_format") ?? "float";
  if (encoding !== "float" && encoding !== "base64") throw input.fail("encoding_format", "float or base64");
  const value = body.input;
  const bare = typeof value === "string" || (Array.isArray(value) && value.length > 0 && value.every(isToken));
  const list = bare ? [value] : input.list(value, "input");
  if (list.length === 0) throw input.fail("input", "at least one input");
  return {
    model: input.string(body.model, "model"),
    inputs: list.map((one, at) => parseInput(one, bare ? "input" : `input[${at}]`)),
    bare,
    dimensions: input.optionalInteger(body.dimensions, "dimensions", 1),
    encoding,
    user: input.optionalString(body.user, "user"),
    extra: unknownFields(body, REQUEST_KNOWN),
  };
}

const isToken = (value: Json): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

function parseInput(value: Json | undefined, path: string): EmbeddingInput {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.length > 0 && value.every(isToken)) return value;
  throw input.fail(path, "a text or a list of tokens");
}

/** @param encoding what to ask of the provider, where that is not what the client wants */
export function renderEmbeddingsRequest(request: EmbeddingsRequest, encoding = request.encoding): JsonObject {
  const [first] = request.inputs;
  const body: JsonObject = {
    ...request.extra,
    model: request.model,
    input: request.bare && first !== undefined ? first : request.inputs,
  };
  if (request.dimensions !== undefined) body.dimensions = request.dimensions;
  body.encoding_format = encoding;
  if (request.user !== undefined) body.user = request.user;
  return body;
}

/**
 * Reads embeddings as numbers or base64, whichever was sent.
 * @param expected how many there must be
 * @throws WeirError provider_bad_response
 */
export function parseEmbeddingsResponse(body: JsonObject, expected: number): EmbeddingsResponse {
  const data = output.list(body.data, "data");
  const embeddings: (Float32Array | undefined)[] = Array.from({ length: expected }, () => undefined);
  for (const [at, value] of data.entries()) {
    const item = output.object(value, `data[${at}]`);
    const index = output.optionalInteger(item.index, `data[${at}].index`, 0) ?? at;
    if (index < expected) embeddings[index] = parseEmbedding(item.embedding, `data[${at}].embedding`);
  }
  const whole = embeddings.filter((embedding) => embedding !== undefined);
  if (whole.length !== expected || data.length !== expected)
    throw new WeirError(
      "provider_bad_response",
      `the provider answered with ${data.length} embeddings for ${expected} inputs`,
    );
  return {
    model: typeof body.model === "string" ? body.model : "",
    embeddings: whole,
    usage: parseEmbeddingsUsage(body.usage),
    extra: unknownFields(body, RESPONSE_KNOWN),
  };
}

/** `usage` of embeddings has no output; a server may count in the total only. */
export function parseEmbeddingsUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  return parseOpenAiUsage({
    ...usage,
    prompt_tokens: usage.prompt_tokens ?? usage.total_tokens ?? null,
    completion_tokens: 0,
    total_tokens: 0,
  });
}

function parseEmbedding(value: Json | undefined, path: string): Float32Array {
  if (typeof value === "string") return floatsOfBase64(value, path);
  const numbers = output.list(value, path);
  const floats = new Float32Array(numbers.length);
  for (const [at, number] of numbers.entries()) {
    if (typeof number !== "number") throw output.fail(`${path}[${at}]`, "a number");
    floats[at] = number;
  }
  return floats;
}

/** OpenAI's answer for a client, in the encoding it asked for. */
export function renderEmbeddingsResponse(response: EmbeddingsResponse, request: EmbeddingsRequest): JsonObject {
  const data = response.embeddings.map((embedding, index): JsonObject => {
    const value = request.encoding === "base64" ? base64OfFloats(embedding) : numbersOf(embedding);
    return { object: "embedding", index, embedding: value };
  });
  const tokens = response.usage?.inputTokens ?? 0;
  return {
    ...response.extra,
    object: "list",
    data,
    model: response.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** Nine digits tell every float apart and eight most of them; a double's seventeen would only show noise. */
const numbersOf = (floats: Float32Array): number[] =>
  Array.from(floats, (value) => {
    const short = Number(value.toPrecision(8));
    return Math.fround(short) === value ? short : Number(value.toPrecision(9));
  });

const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The bytes of little-endian 32-bit floats, as base64: what OpenAI's SDKs ask for by default. */
export function base64OfFloats(floats: Float32Array): string {
  const bytes = new Uint8Array(floats.length * 4);
  if (LITTLE) bytes.set(new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength));
  else {
    const view = new DataView(bytes.buffer);
    for (const [at, value] of floats.entries()) view.setFloat32(at * 4, value, true);
  }
  let text = "";
  // In pieces: a call has room for so many arguments only.
  for (let at = 0; at < bytes.length; at += 8190) text += String.fromCharCode(...bytes.subarray(at, at + 8190));
  return btoa(text);
}

export function floatsOfBase64(text: string, path: string): Float32Array {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw output.fail(path, "base64");
  }
  if (binary.length % 4 !== 0) throw output.fail(path, "32-bit floats");
  const view = new DataView(new ArrayBuffer(binary.length));
  for (let at = 0; at < binary.length; at += 1) view.setUint8(at, binary.charCodeAt(at));
  const floats = new Float32Array(binary.length / 4);
  for (let at = 0; at < floats.length; at += 1) floats[at] = view.getFloat32(at * 4, true);
  return floats;
}
