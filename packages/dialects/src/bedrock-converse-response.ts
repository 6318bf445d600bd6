import { NAME, parseBlock } from "./bedrock-converse-blocks.ts";
import type { ChatResponse, FinishReason, Json, JsonObject, Usage } from "./core.ts";
import type { Answerer } from "./dialect.ts";
import { extraOf, isObject, names, output, unknownFields } from "./shape.ts";

/** `metrics` say how long it took, which is measured here, too. */
const KNOWN = names("output stopReason usage metrics");

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool-calls",
  guardrail_intervened: "content-filter",
  content_filtered: "content-filter",
  refusal: "refusal",
  pause_turn: "pause",
  malformed_model_output: "error",
  malformed_tool_use: "error",
};

export function parseStop(reason: Json | undefined, hasToolCalls: boolean): FinishReason {
  const known = typeof reason === "string" && Object.hasOwn(FINISH, reason) ? FINISH[reason] : undefined;
  return known ?? (hasToolCalls ? "tool-calls" : "stop");
}

const count = (value: Json | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined;

/**
 * Converse's inputTokens leave out what was read from and written to the cache; ours are the total.
 * @param tier `serviceTier`: flex is paid like a batch
 */
export function parseConverseUsage(usage: Json | undefined, tier: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const input = count(usage.inputTokens);
  const written = count(usage.cacheWriteInputTokens) ?? 0;
  const read = count(usage.cacheReadInputTokens) ?? 0;
  const outputTokens = count(usage.outputTokens);
  if (input === undefined && outputTokens === undefined) return undefined;
  const result: Usage = {
    inputTokens: (input ?? 0) + read + written,
    outputTokens: outputTokens ?? 0,
    cachedInputTokens: read,
    cacheWriteTokens: written,
    reasoningTokens: 0,
    estimated: false,
  };
  const long = writtenForAnHour(usage.cacheDetails);
  if (long !== undefined) result.cacheWriteLongTokens = Math.min(long, written);
  if (isObject(tier) && tier.type === "flex") result.batch = true;
  return result;
}

function writtenForAnHour(details: Json | undefined): number | undefined {
  if (!Array.isArray(details)) return undefined;
  let tokens = 0;
  for (const detail of details) if (isObject(detail) && detail.ttl === "1h") tokens += count(detail.inputTokens) ?? 0;
  return tokens;
}

/** What an answer says beside what the core knows: a guardrail's trace, fields that were asked of the model. */
export const answerExtra = (body: JsonObject) => extraOf(NAME, unknownFields(body, KNOWN));

/** @throws WeirError provider_bad_response */
export function parseConverseResponse(body: JsonObject, answerer?: Answerer): ChatResponse {
  const message = output.object(output.object(body.output, "output").message, "output.message");
  const blocks = output.list(message.content, "output.message.content");
  const parts = blocks.map((block, at) => parseBlock(output, block, `output.message.content[${at}]`));
  const finishReason = parseStop(
    body.stopReason,
    parts.some((part) => part.type === "tool-call"),
  );
  return {
    // It has neither id nor time.
    id: "",
    model: answerer?.model ?? "",
    createdS: 0,
    choices: [{ index: 0, parts, finishReason }],
    usage: parseConverseUsage(body.usage, body.serviceTier),
    extra: answerExtra(body),
  };
}
