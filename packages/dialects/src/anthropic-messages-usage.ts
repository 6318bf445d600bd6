import type { Json, JsonObject, Usage } from "./core.ts";
import { isObject, names } from "./shape.ts";
import { serverToolCalls, withCalls } from "./tool-calls.ts";

const count = (value: Json | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;

/** The members of `usage` that Usage carries. */
export const USAGE_KNOWN: ReadonlySet<string> = names(
  "input_tokens output_tokens cache_creation_input_tokens cache_read_input_tokens cache_creation",
  "output_tokens_details",
);

/** Reads `usage`. Anthropic's input_tokens leave out what was read from and written to the cache; ours are the total. */
export function parseMessagesUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const input = count(usage.input_tokens);
  const output = count(usage.output_tokens);
  if (input === undefined && output === undefined) return undefined;
  const creation = isObject(usage.cache_creation) ? usage.cache_creation : {};
  const long = count(creation.ephemeral_1h_input_tokens) ?? 0;
  const written = count(usage.cache_creation_input_tokens) ?? long + (count(creation.ephemeral_5m_input_tokens) ?? 0);
  const read = count(usage.cache_read_input_tokens) ?? 0;
  const details = isObject(usage.output_tokens_details) ? usage.output_tokens_details : {};
  const thinking = count(details.thinking_tokens) ?? 0;
  const result: Usage = {
    inputTokens: (input ?? 0) + read + written,
    outputTokens: Math.max(output ?? 0, thinking),
    cachedInputTokens: read,
    cacheWriteTokens: written,
    reasoningTokens: thinking,
    estimated: false,
  };
  if (isObject(usage.cache_creation)) result.cacheWriteLongTokens = Math.min(long, written);
  if (usage.service_tier === "batch") result.batch = true;
  return withCalls(result, serverToolCalls(usage));
}

/** The counts of a stream are cumulative, from message_start on; a null says nothing new. */
export function mergeUsage(before: JsonObject, after: Json | undefined): JsonObject {
  if (!isObject(after)) return before;
  return { ...before, ...Object.fromEntries(Object.entries(after).filter(([, value]) => value !== null)) };
}

export function renderMessagesUsage(usage: Usage | undefined): JsonObject {
  if (usage === undefined) return { input_tokens: 0, output_tokens: 0 };
  const { cachedInputTokens: read, cacheWriteTokens: written, cacheWriteLongTokens: long } = usage;
  const rendered: JsonObject = {
    input_tokens: Math.max(0, usage.inputTokens - read - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: read,
    output_tokens: usage.outputTokens,
  };
  if (long !== undefined)
    rendered.cache_creation = { ephemeral_5m_input_tokens: written - long, ephemeral_1h_input_tokens: long };
  rendered.output_tokens_details = { thinking_tokens: usage.reasoningTokens };
  return rendered;
}
