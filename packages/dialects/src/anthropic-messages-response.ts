import { keepFields, NAME, parseContent, toolUseId } from "./anthropic-messages-blocks.ts";
import { parseMessagesUsage, renderMessagesUsage, USAGE_KNOWN } from "./anthropic-messages-usage.ts";
import type { ChatResponse, Choice, FinishReason, Json, JsonObject, Part, Usage } from "./core.ts";
import type { Rendered, RenderContext } from "./dialect.ts";
import { describeDropped, extraOf, fieldsFor, isObject, names, output, spellingFor } from "./shape.ts";
import { messageCalls, withCalls } from "./tool-calls.ts";
import { argumentsObject } from "./tool-arguments.ts";

const KNOWN = names("id type role model content stop_reason stop_sequence usage");

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  tool_use: "tool-calls",
  pause_turn: "pause",
  refusal: "refusal",
  model_context_window_exceeded: "length",
  compaction: "pause",
};

/** @returns the reason; with `spelling` where another stop_reason says the same */
export function parseStop(
  reason: Json | undefined,
  hasToolCalls: boolean,
): { reason: FinishReason; spelling?: JsonObject } {
  const text = typeof reason === "string" ? reason : "";
  const known = Object.hasOwn(FINISH, text) ? FINISH[text] : undefined;
  const result = known ?? (hasToolCalls ? "tool-calls" : "stop");
  return text === "" || text === "stop_sequence" || renderStop(result) === text
    ? { reason: result }
    : { reason: result, spelling: { stop_reason: text } };
}

/**
 * Anthropic has no word for an answer that failed half-way (Google's MALFORMED_FUNCTION_CALL). Of those it has, "refusal" is the one that no client takes
 * for a whole answer; the header that names what was dropped says the rest.
 */
function renderStop(reason: FinishReason): string {
  switch (reason) {
    case "stop":
      return "end_turn";
    case "length":
      return "max_tokens";
    case "tool-calls":
      return "tool_use";
    case "content-filter":
    case "refusal":
    case "error":
      return "refusal";
    case "pause":
      return "pause_turn";
  }
}

/** `stop_reason` and `stop_sequence`. @param refused whether a refusal was said */
export function stopOf(
  choice: Pick<Choice, "finishReason" | "stopSequence" | "extra">,
  refused: boolean,
): { stop_reason: string; stop_sequence: string | null } {
  const spelled = spellingFor(NAME, choice.extra)?.stop_reason;
  if (typeof spelled === "string") return { stop_reason: spelled, stop_sequence: null };
  if (choice.finishReason === "stop" && choice.stopSequence !== undefined)
    return { stop_reason: "stop_sequence", stop_sequence: choice.stopSequence };
  const reason = choice.finishReason === "stop" && refused ? "refusal" : choice.finishReason;
  return { stop_reason: renderStop(reason), stop_sequence: null };
}

/** @throws WeirError provider_bad_response */
export function parseMessagesResponse(body: JsonObject): ChatResponse {
  const parts = parseContent(output, output.list(body.content, "content"), "content");
  const { reason, spelling } = parseStop(
    body.stop_reason,
    parts.some((part) => part.type === "tool-call"),
  );
  const moreUsage = isObject(body.usage) ? keepFields(body.usage, USAGE_KNOWN)?.fields : undefined;
  const fields = keepFields(body, KNOWN)?.fields;
  return {
    id: output.optionalString(body.id, "id") ?? "",
    model: output.optionalString(body.model, "model") ?? "",
    createdS: 0,
    choices: [
      {
        index: 0,
        parts,
        finishReason: reason,
        stopSequence: output.optionalString(body.stop_sequence, "stop_sequence"),
        extra: extraOf(NAME, undefined, spelling),
      },
    ],
    usage: withCalls(parseMessagesUsage(body.usage), messageCalls(body)),
    extra: extraOf(NAME, moreUsage === undefined ? fields : { ...fields, usage: moreUsage }),
  };
}

/** Writes a whole message. It has one choice; further ones are named as dropped. */
export function renderMessagesResponse(response: ChatResponse, context: RenderContext): Rendered<JsonObject> {
  const dropped: string[] = [];
  describeDropped(NAME, response.extra, "", dropped);
  const [choice, ...others] = response.choices;
  for (const other of others) dropped.push(`choices[${other.index}]`);
  const parts = choice?.parts ?? [];
  describeDropped(NAME, choice?.extra, "choices[0]", dropped);
  if (choice?.logprobs !== undefined) dropped.push("choices[0].logprobs");
  if (choice?.finishReason === "error") dropped.push("finish_reason");
  const content: JsonObject[] = [];
  for (const [at, part] of parts.entries()) {
    const block = renderAnswerBlock(part, `content[${at}]`, dropped);
    if (block !== undefined) content.push(block);
  }
  const { usage: moreUsage, ...fields } = fieldsFor(NAME, response.extra) ?? {};
  const body: JsonObject = {
    ...fields,
    id: messageId(response.id, context),
    type: "message",
    role: "assistant",
    model: response.model,
    content,
    ...stopOf(
      choice ?? { finishReason: "error" },
      parts.some((part) => part.type === "refusal"),
    ),
    usage: { ...(isObject(moreUsage) ? moreUsage : {}), ...renderMessagesUsage(response.usage) },
  };
  return { body, dropped: dropped.concat(droppedUsage(response.usage)) };
}

/** Another dialect's id, with Anthropic's prefix instead of its own. */
export const messageId = (id: string, context: RenderContext): string => {
  if (id.startsWith("msg_")) return id;
  return `msg_${id === "" ? context.requestId.replaceAll("-", "") : id.replace(FOREIGN_PREFIX, "")}`;
};

const FOREIGN_PREFIX = /^(?:chatcmpl-|resp_|gen-)/;

export function droppedUsage(usage: Usage | undefined): string[] {
  const names: string[] = [];
  if (usage?.audioInputTokens !== undefined) names.push("usage.audio_input_tokens");
  if (usage?.audioOutputTokens !== undefined) names.push("usage.audio_output_tokens");
  return names;
}

/** A part of an answer as a block. Thinking of other providers is shown, without a seal. */
export function renderAnswerBlock(part: Part, path: string, dropped: string[]): JsonObject | undefined {
  if (part.type !== "unknown" && part.type !== "refusal") describeDropped(NAME, part.extra, path, dropped);
  switch (part.type) {
    case "text":
      return part.text === "" ? undefined : { ...fieldsFor(NAME, part.extra), type: "text", text: part.text };
    case "refusal":
      return { type: "text", text: part.text };
    case "thinking": {
      const fields = fieldsFor(NAME, part.extra);
      if (part.redacted !== undefined) {
        if (fields !== undefined) return { ...fields, type: "redacted_thinking", data: part.redacted };
        dropped.push(`${path}.redacted`);
      }
      if (fields === undefined && part.signature !== undefined) dropped.push(`${path}.signature`);
      if (fields === undefined && part.text === "") return undefined;
      const signature = fields === undefined ? "" : (part.signature ?? "");
      return { ...fields, type: "thinking", thinking: part.text, signature };
    }
    case "tool-call":
      return {
        ...fieldsFor(NAME, part.extra),
        type: "tool_use",
        id: toolUseId(part.id),
        name: part.name,
        input: argumentsObject(part.arguments),
      };
    case "unknown":
      if (part.dialect === NAME) return part.value;
      dropped.push(`${path}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
      return undefined;
    case "media":
      dropped.push(`${path}.${part.kind}`);
      return undefined;
    case "tool-result":
      dropped.push(`${path}.tool_result`);
      return undefined;
  }
}

/** What an answer that is passed on as bytes is billed and recorded by. */
export function inspectMessagesResponse(body: JsonObject): {
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters: number;
} {
  const blocks = Array.isArray(body.content) ? body.content.filter(isObject) : [];
  let outputCharacters = 0;
  let calls = false;
  for (const block of blocks) {
    if (typeof block.text === "string") outputCharacters += block.text.length;
    if (typeof block.thinking === "string") outputCharacters += block.thinking.length;
    if (block.input !== undefined) outputCharacters += JSON.stringify(block.input).length;
    calls ||= block.type === "tool_use";
  }
  return {
    usage: withCalls(parseMessagesUsage(body.usage), messageCalls(body)),
    finishReason: typeof body.stop_reason === "string" ? parseStop(body.stop_reason, calls).reason : undefined,
    outputCharacters,
  };
}
