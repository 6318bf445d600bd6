import { NAME } from "./cohere-chat-render.ts";
import type { ChatResponse, FinishReason, Json, JsonObject, Part, Usage } from "./core.ts";
import type { Answerer } from "./dialect.ts";
import { extraOf, isObject, names, output, unknownFields } from "./shape.ts";

const KNOWN = names("id finish_reason message usage prompt");

const FINISH: Readonly<Record<string, FinishReason>> = {
  COMPLETE: "stop",
  STOP_SEQUENCE: "stop",
  MAX_TOKENS: "length",
  TOOL_CALL: "tool-calls",
  ERROR: "error",
  ERROR_TOXIC: "content-filter",
  ERROR_LIMIT: "error",
  TIMEOUT: "error",
};

export function parseFinish(reason: Json | undefined, hasToolCalls: boolean): FinishReason {
  const known = typeof reason === "string" && Object.hasOwn(FINISH, reason) ? FINISH[reason] : undefined;
  return known ?? (hasToolCalls ? "tool-calls" : "stop");
}

const count = (value: Json | undefined): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.ceil(value) : undefined;

/** What is billed, which leaves out what Cohere adds by itself; `tokens` where it does not tell that. */
export function parseCohereUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const billed = isObject(usage.billed_units) ? usage.billed_units : {};
  const all = isObject(usage.tokens) ? usage.tokens : {};
  const input = count(billed.input_tokens) ?? count(all.input_tokens);
  const outputTokens = count(billed.output_tokens) ?? count(all.output_tokens);
  if (input === undefined && outputTokens === undefined) return undefined;
  const cached = Math.min(count(usage.cached_tokens) ?? 0, input ?? 0);
  return {
    inputTokens: input ?? 0,
    outputTokens: outputTokens ?? 0,
    cachedInputTokens: cached,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    estimated: false,
  };
}

/** @throws WeirError provider_bad_response */
export function parseCohereResponse(body: JsonObject, answerer?: Answerer): ChatResponse {
  const message = output.object(body.message, "message");
  const parts: Part[] = [];
  const plan = output.optionalString(message.tool_plan, "message.tool_plan");
  if (plan !== undefined && plan !== "") parts.push({ type: "thinking", text: plan });
  const content = typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
  for (const [at, value] of (output.optionalList(content, "message.content") ?? []).entries())
    parts.push(parsePart(value, `message.content[${at}]`));
  for (const [at, value] of (output.optionalList(message.tool_calls, "message.tool_calls") ?? []).entries())
    parts.push(parseCall(value, `message.tool_calls[${at}]`));
  const citations = output.optionalList(message.citations, "message.citations") ?? [];
  const text = parts.find((part) => part.type === "text");
  if (text?.type === "text" && citations.length > 0) text.extra = extraOf(NAME, { citations });
  const calls = parts.some((part) => part.type === "tool-call");
  return {
    id: output.optionalString(body.id, "id") ?? "",
    model: answerer?.model ?? "",
    createdS: 0,
    choices: [{ index: 0, parts, finishReason: parseFinish(body.finish_reason, calls) }],
    usage: parseCohereUsage(body.usage),
    extra: extraOf(NAME, unknownFields(body, KNOWN)),
  };
}

export function parsePart(value: Json, path: string): Part {
  const part = output.object(value, path);
  if (part.type === "text") return { type: "text", text: output.optionalString(part.text, `${path}.text`) ?? "" };
  if (part.type === "thinking")
    return { type: "thinking", text: output.optionalString(part.thinking, `${path}.thinking`) ?? "" };
  return { type: "unknown", dialect: NAME, value: part };
}

export function parseCall(value: Json, path: string): Part & { type: "tool-call" } {
  const call = output.object(value, path);
  const called = output.object(call.function, `${path}.function`);
  return {
    type: "tool-call",
    id: output.string(call.id, `${path}.id`),
    name: output.string(called.name, `${path}.function.name`),
    arguments: output.optionalString(called.arguments, `${path}.function.arguments`) ?? "",
  };
}
