import type { Json, JsonObject, Usage } from "./core.ts";
import { keepFields } from "./gemini-generate-parts.ts";
import { isObject, names } from "./shape.ts";

const count = (value: Json | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;

/** The members of `usageMetadata` that Usage carries without remainder. */
const KNOWN = names("promptTokenCount candidatesTokenCount totalTokenCount cachedContentTokenCount thoughtsTokenCount");

/** Reads `usageMetadata`. Google counts thoughts beside the candidates and tool results beside the prompt; ours are totals. */
export function parseGenerateUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const prompt = count(usage.promptTokenCount);
  const candidates = count(usage.candidatesTokenCount);
  const total = count(usage.totalTokenCount);
  if (prompt === undefined && candidates === undefined && total === undefined) return undefined;
  const thoughts = count(usage.thoughtsTokenCount) ?? 0;
  const cached = count(usage.cachedContentTokenCount) ?? 0;
  const result: Usage = {
    inputTokens: Math.max((prompt ?? 0) + (count(usage.toolUsePromptTokenCount) ?? 0), cached),
    outputTokens: (candidates ?? 0) + thoughts,
    cachedInputTokens: cached,
    cacheWriteTokens: 0,
    reasoningTokens: thoughts,
    estimated: false,
  };
  const audioIn = partOf(usage.promptTokensDetails, "AUDIO");
  const audioOut = partOf(usage.candidatesTokensDetails, "AUDIO");
  const imageIn = partOf(usage.promptTokensDetails, "IMAGE") + partOf(usage.promptTokensDetails, "VIDEO");
  const imageOut = partOf(usage.candidatesTokensDetails, "IMAGE") + partOf(usage.candidatesTokensDetails, "VIDEO");
  if (audioIn > 0) result.audioInputTokens = audioIn;
  if (audioOut > 0) result.audioOutputTokens = audioOut;
  if (imageIn > 0) result.imageInputTokens = imageIn;
  if (imageOut > 0) result.imageOutputTokens = imageOut;
  return result;
}

function partOf(details: Json | undefined, modality: string): number {
  if (!Array.isArray(details)) return 0;
  let tokens = 0;
  for (const detail of details)
    if (isObject(detail) && detail.modality === modality) tokens += count(detail.tokenCount) ?? 0;
  return tokens;
}

/** What Usage does not carry: details by modality, tokens of tool results, the traffic type. */
export const moreUsage = (usage: Json | undefined): JsonObject | undefined =>
  isObject(usage) ? keepFields(usage, KNOWN) : undefined;

/** @param more what parsing kept of the same dialect's usage */
export function renderGenerateUsage(usage: Usage | undefined, more: JsonObject | undefined): JsonObject | undefined {
  if (usage === undefined) return more;
  const toolUse = count(more?.toolUsePromptTokenCount) ?? 0;
  const rendered: JsonObject = {
    ...more,
    promptTokenCount: Math.max(0, usage.inputTokens - toolUse),
    candidatesTokenCount: Math.max(0, usage.outputTokens - usage.reasoningTokens),
    totalTokenCount: usage.inputTokens + usage.outputTokens,
  };
  if (usage.cachedInputTokens > 0) rendered.cachedContentTokenCount = usage.cachedInputTokens;
  if (usage.reasoningTokens > 0) rendered.thoughtsTokenCount = usage.reasoningTokens;
  if (usage.audioInputTokens !== undefined && more?.promptTokensDetails === undefined)
    rendered.promptTokensDetails = [{ modality: "AUDIO", tokenCount: usage.audioInputTokens }];
  if (usage.audioOutputTokens !== undefined && more?.candidatesTokensDetails === undefined)
    rendered.candidatesTokensDetails = [{ modality: "AUDIO", tokenCount: usage.audioOutputTokens }];
  return rendered;
}

/** Google has no count for what was written to a cache. */
export const droppedUsage = (usage: Usage | undefined): string[] =>
  usage !== undefined && usage.cacheWriteTokens > 0 ? ["usage.cache_write_tokens"] : [];
