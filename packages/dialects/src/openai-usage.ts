import type { Json, JsonObject, Usage } from "./core.ts";
import { isObject } from "./shape.ts";
import { responseCalls, withCalls } from "./tool-calls.ts";

const count = (value: Json | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;

/**
 * Reads usage as chat completions, responses and embeddings write it. An explicit zero is a count; undefined means that nothing was
 * counted. Tokens that are only in the total were generated: xAI and Gemini's compatible face leave thinking out of completion_tokens.
 */
export function parseOpenAiUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const input = count(usage.prompt_tokens) ?? count(usage.input_tokens);
  const output = count(usage.completion_tokens) ?? count(usage.output_tokens);
  if (input === undefined && output === undefined) return undefined;
  const inputDetails = firstObject(usage.prompt_tokens_details, usage.input_tokens_details);
  const outputDetails = firstObject(usage.completion_tokens_details, usage.output_tokens_details);
  const cached = count(inputDetails.cached_tokens) ?? count(usage.prompt_cache_hit_tokens) ?? 0;
  const written = count(inputDetails.cache_write_tokens) ?? 0;
  const reasoning = count(outputDetails.reasoning_tokens) ?? count(usage.reasoning_tokens) ?? 0;
  const stated = (input ?? 0) + (output ?? 0);
  const missing = output === undefined ? 0 : Math.max(0, (count(usage.total_tokens) ?? stated) - stated);
  const result: Usage = {
    inputTokens: Math.max(input ?? 0, cached + written),
    outputTokens: Math.max((output ?? 0) + missing, reasoning),
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    reasoningTokens: reasoning,
    estimated: false,
  };
  const audioIn = count(inputDetails.audio_tokens) ?? 0;
  const audioOut = count(outputDetails.audio_tokens) ?? 0;
  if (audioIn > 0) result.audioInputTokens = audioIn;
  if (audioOut > 0) result.audioOutputTokens = audioOut;
  const imageIn = count(inputDetails.image_tokens) ?? 0;
  const imageOut = count(outputDetails.image_tokens) ?? 0;
  if (imageIn > 0) result.imageInputTokens = imageIn;
  if (imageOut > 0) result.imageOutputTokens = imageOut;
  return result;
}

/** @param answer a completion, a chunk or a response, which says at whose rates it was answered */
export function tiered<U extends Usage | undefined>(usage: U, answer: JsonObject): U {
  const { service_tier: tier } = answer;
  return usage !== undefined && (tier === "flex" || tier === "batch") ? { ...usage, batch: true } : usage;
}

/** All that a response of OpenAI's is billed by. */
export const usageOfResponse = (response: JsonObject): Usage | undefined =>
  tiered(withCalls(parseOpenAiUsage(response.usage), responseCalls(response)), response);

const firstObject = (...values: (Json | undefined)[]): JsonObject => values.find(isObject) ?? {};

/**
 * `usage` of a chat completion.
 * @param own what the provider itself wrote, for the counts that only this dialect knows
 */
export function renderChatUsage(usage: Usage, own?: Json): JsonObject {
  const said = isObject(own) ? own : {};
  return {
    ...said,
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: inputDetails(usage, said.prompt_tokens_details),
    completion_tokens_details: outputDetails(usage, said.completion_tokens_details),
  };
}

/** `usage` of a response; `own` as for chat completions. */
export function renderResponsesUsage(usage: Usage, own?: Json): JsonObject {
  const said = isObject(own) ? own : {};
  return {
    ...said,
    input_tokens: usage.inputTokens,
    input_tokens_details: inputDetails(usage, said.input_tokens_details),
    output_tokens: usage.outputTokens,
    output_tokens_details: outputDetails(usage, said.output_tokens_details),
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}

function inputDetails(usage: Usage, own: Json | undefined): JsonObject {
  const details: JsonObject = { ...(isObject(own) ? own : {}), cached_tokens: usage.cachedInputTokens };
  if (usage.cacheWriteTokens > 0) details.cache_write_tokens = usage.cacheWriteTokens;
  if (usage.audioInputTokens !== undefined) details.audio_tokens = usage.audioInputTokens;
  return details;
}

function outputDetails(usage: Usage, own: Json | undefined): JsonObject {
  const details: JsonObject = { ...(isObject(own) ? own : {}), reasoning_tokens: usage.reasoningTokens };
  if (usage.audioOutputTokens !== undefined) details.audio_tokens = usage.audioOutputTokens;
  return details;
}
