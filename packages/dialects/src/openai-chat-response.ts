import type {
  ChatRequest,
  ChatResponse,
  Choice,
  Extra,
  FinishReason,
  Json,
  JsonObject,
  Part,
  TokenLogprob,
  Usage,
} from "./core.ts";
import type { ProviderFailure, Rendered, RenderContext } from "./dialect.ts";
import { parsePart } from "./openai-chat-parts.ts";
import { renderToolCall, thinkingKey } from "./openai-chat-render.ts";
import { parseAssistantParts } from "./openai-chat-request.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import { urlOfSource } from "./openai-media.ts";
import { parseOpenAiUsage, renderChatUsage, tiered } from "./openai-usage.ts";
import { describeDropped, extraOf, fieldsFor, isObject, names, output, spellingFor, unknownFields } from "./shape.ts";
import { executedCalls, groqCalls, withCalls } from "./tool-calls.ts";

const NAME = "openai-chat";
const RESPONSE_KNOWN = names("id object created model choices usage");
/** Notes of a server about itself, of use to nobody but its own clients. */
const NOTES = names("system_fingerprint service_tier provider x_groq prompt_filter_results");
const CHOICE_NOTES = names("native_finish_reason content_filter_results");
const CHOICE_KNOWN = names("index message finish_reason logprobs");
const MESSAGE_KNOWN = names("role content refusal tool_calls function_call reasoning_content reasoning images");
/** The finish reasons of OpenAI and, after them, what compatible servers say for the same. */
const FINISH: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter",
  eos: "stop",
  eos_token: "stop",
  end_turn: "stop",
  stop_sequence: "stop",
  complete: "stop",
  model_length: "length",
  max_tokens: "length",
  tool_use: "tool-calls",
  safety: "content-filter",
  refusal: "refusal",
  error: "error",
  abort: "error",
  insufficient_system_resource: "error",
};

/** @param parts what was said, for answers that have no reason */
export function parseFinish(reason: Json | undefined, hasToolCalls: boolean): FinishReason {
  const known = typeof reason === "string" && Object.hasOwn(FINISH, reason) ? FINISH[reason] : undefined;
  return known ?? (hasToolCalls ? "tool-calls" : "stop");
}

/**
 * "error" is OpenRouter's word; OpenAI has none for an answer that failed half-way, and "stop" would call it whole. A refusal that
 * another provider's filter made is a content_filter; a paused turn has ended as far as this dialect can say.
 */
export function renderFinish(reason: FinishReason, legacy: boolean): string {
  switch (reason) {
    case "stop":
    case "pause":
      return "stop";
    case "length":
      return "length";
    case "tool-calls":
      return legacy ? "function_call" : "tool_calls";
    case "content-filter":
    case "refusal":
      return "content_filter";
    case "error":
      return "error";
  }
}

/** Whether the client used the deprecated functions and must be answered by a function_call. */
export const usesFunctions = (request: ChatRequest): boolean => spellingFor(NAME, request.extra)?.functions === true;

/** Usage of an answer or a chunk, wherever it is. */
export const usageOf = (body: JsonObject): Json | undefined =>
  body.usage ?? (isObject(body.x_groq) ? body.x_groq.usage : undefined);

/** All that a whole completion is billed by. */
function usageOfCompletion(body: JsonObject): Usage | undefined {
  const executed = new Map<string, JsonObject>();
  executedCalls(Array.isArray(body.choices) ? body.choices.filter(isObject) : [], executed);
  return tiered(withCalls(parseOpenAiUsage(usageOf(body)), groqCalls(executed)), body);
}

/** Finds an in-band error: OpenAI's and Groq's `error` member, OpenRouter's (with a number for its code), of an answer, a chunk or a choice. */
export function errorOf(chunk: JsonObject): Json | undefined {
  if (chunk.error !== undefined && chunk.error !== null && chunk.error !== "") {
    // TGI has its type beside it.
    const { error, error_type: type } = chunk;
    return typeof error === "string" && typeof type === "string" ? { message: error, type } : error;
  }
  if (!Array.isArray(chunk.choices)) return undefined;
  for (const choice of chunk.choices) if (isObject(choice) && isObject(choice.error)) return choice.error;
  return undefined;
}

/** @throws WeirError provider_bad_response, or the provider's own error where the answer holds one */
export function parseChatResponse(body: JsonObject): ChatResponse {
  const error = errorOf(body);
  if (error !== undefined) throw parseOpenAiStreamError(error).error;
  const id = typeof body.id === "string" ? body.id : "";
  const choices = output.list(body.choices, "choices").map((value, at): Choice => {
    const path = `choices[${at}]`;
    const choice = output.object(value, path);
    const message = output.object(choice.message, `${path}.message`);
    const index = typeof choice.index === "number" ? choice.index : at;
    const parts = [
      ...parseAssistantParts(output, message, `${path}.message`, id, index),
      ...parseImages(message.images, path),
    ];
    const inner = unknownFields(message, MESSAGE_KNOWN);
    const [outer, notes] = withoutNotes(unknownFields(choice, CHOICE_KNOWN), CHOICE_NOTES);
    const fields = inner === undefined ? outer : { ...outer, message: inner };
    return {
      index,
      parts,
      finishReason: parseFinish(
        choice.finish_reason,
        parts.some((part) => part.type === "tool-call"),
      ),
      logprobs: parseLogprobs(choice.logprobs),
      extra: extraOf(NAME, fields, notes && { notes }),
    };
  });
  return {
    id,
    model: typeof body.model === "string" ? body.model : "",
    createdS: typeof body.created === "number" ? Math.floor(body.created) : 0,
    choices,
    usage: usageOfCompletion(body),
    extra: answerExtra(body),
  };
}

/** What an answer or a chunk says beside what the core knows. */
export function answerExtra(body: JsonObject): Extra | undefined {
  const [fields, notes] = withoutNotes(unknownFields(body, RESPONSE_KNOWN), NOTES);
  const spelling: JsonObject = {};
  if (notes !== undefined) spelling.notes = notes;
  // What else a provider counts (predicted tokens, its own cost) is a note, too.
  if (isObject(body.usage)) spelling.usage = body.usage;
  return extraOf(NAME, fields, Object.keys(spelling).length === 0 ? undefined : spelling);
}

/** The notes that `answerExtra` kept, for writing them again. */
export function notesFor(extra: Extra | undefined): JsonObject {
  const notes = spellingFor(NAME, extra)?.notes;
  return isObject(notes) ? notes : {};
}

function withoutNotes(
  fields: JsonObject | undefined,
  noted: ReadonlySet<string>,
): [JsonObject | undefined, JsonObject | undefined] {
  if (fields === undefined) return [undefined, undefined];
  const known = new Set(Object.keys(fields).filter((key) => !noted.has(key)));
  return [unknownFields(fields, noted), unknownFields(fields, known)];
}

/** OpenRouter's place for generated images. */
export function parseImages(images: Json | undefined, path: string): Part[] {
  if (!Array.isArray(images)) return [];
  return images.map((image, at) => parsePart(output, image, `${path}.images[${at}]`));
}

export function parseLogprobs(value: Json | undefined): TokenLogprob[] | undefined {
  if (!isObject(value) || !Array.isArray(value.content)) return undefined;
  return value.content.filter(isObject).map(parseLogprob);
}

export function parseLogprob(value: JsonObject): TokenLogprob {
  const logprob: TokenLogprob = {
    token: typeof value.token === "string" ? value.token : "",
    logprob: typeof value.logprob === "number" ? value.logprob : 0,
  };
  if (Array.isArray(value.bytes)) logprob.bytes = value.bytes.filter((byte) => typeof byte === "number");
  if (Array.isArray(value.top_logprobs)) logprob.top = value.top_logprobs.filter(isObject).map(parseLogprob);
  return logprob;
}

export function renderLogprob(logprob: TokenLogprob): JsonObject {
  return { ...renderTop(logprob), top_logprobs: (logprob.top ?? []).map(renderTop) };
}

const renderTop = (logprob: TokenLogprob): JsonObject => ({
  token: logprob.token,
  logprob: logprob.logprob,
  bytes: logprob.bytes ?? null,
});

export function renderChatResponse(response: ChatResponse, context: RenderContext): Rendered<JsonObject> {
  const dropped: string[] = [];
  const legacy = usesFunctions(context.request);
  describeDropped(NAME, response.extra, "", dropped);
  const body: JsonObject = {
    ...notesFor(response.extra),
    ...fieldsFor(NAME, response.extra),
    id: response.id === "" ? `chatcmpl-${context.requestId}` : response.id,
    object: "chat.completion",
    created: response.createdS === 0 ? context.nowS : response.createdS,
    model: response.model,
    choices: response.choices.map((choice) => renderChoice(choice, legacy, dropped)),
  };
  if (response.usage !== undefined)
    body.usage = renderChatUsage(response.usage, spellingFor(NAME, response.extra)?.usage);
  return { body, dropped };
}

function renderChoice(choice: Choice, legacy: boolean, dropped: string[]): JsonObject {
  const path = `choices[${choice.index}]`;
  describeDropped(NAME, choice.extra, path, dropped);
  const { message: more, ...outer } = fieldsFor(NAME, choice.extra) ?? {};
  const message: JsonObject = { ...(isObject(more) ? more : {}), role: "assistant", content: null, refusal: null };
  const calls: JsonObject[] = [];
  const images: JsonObject[] = [];
  const add = (key: string, text: string): void => {
    const soFar = message[key];
    message[key] = typeof soFar === "string" ? soFar + text : text;
  };
  for (const [at, part] of choice.parts.entries()) {
    const place = `${path}.content[${at}]`;
    if ("extra" in part && part.type !== "thinking") describeDropped(NAME, part.extra, place, dropped);
    switch (part.type) {
      case "text":
        add("content", part.text);
        break;
      case "refusal":
        add("refusal", part.text);
        break;
      case "thinking":
        if (part.text !== "") add(thinkingKey(part), part.text);
        if (part.signature !== undefined) dropped.push(`${place}.signature`);
        if (part.redacted !== undefined) dropped.push(`${place}.redacted`);
        break;
      case "tool-call":
        if (legacy && calls.length === 0 && message.function_call === undefined)
          message.function_call = { name: part.name, arguments: part.arguments };
        else calls.push(renderToolCall(part));
        break;
      case "media": {
        const url = part.kind === "image" ? urlOfSource(part, "image/png") : undefined;
        if (url === undefined) dropped.push(`${place}.${part.kind}`);
        else images.push({ type: "image_url", image_url: { url } });
        break;
      }
      case "unknown":
        if (part.dialect === NAME && isObject(part.value.custom)) calls.push(part.value);
        else dropped.push(`${place}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
        break;
      case "tool-result":
        dropped.push(`${place}.tool-result`);
        break;
    }
  }
  if (calls.length > 0) message.tool_calls = calls;
  if (images.length > 0) message.images = images;
  return {
    ...notesFor(choice.extra),
    ...outer,
    index: choice.index,
    message,
    logprobs: choice.logprobs === undefined ? null : { content: choice.logprobs.map(renderLogprob), refusal: null },
    finish_reason: renderFinish(choice.finishReason, legacy),
  };
}

/** What an answer that is passed on as bytes is billed and recorded by. */
export function inspectChatResponse(body: JsonObject): {
  usage: ReturnType<typeof parseOpenAiUsage>;
  finishReason: FinishReason | undefined;
  outputCharacters: number;
  failure: ProviderFailure | undefined;
} {
  const choices = Array.isArray(body.choices) ? body.choices.filter(isObject) : [];
  const error = errorOf(body);
  let outputCharacters = 0;
  for (const { message } of choices) if (isObject(message)) outputCharacters += charactersOf(message);
  const [first] = choices;
  const calls =
    isObject(first?.message) && Array.isArray(first.message.tool_calls) && first.message.tool_calls.length > 0;
  return {
    usage: usageOfCompletion(body),
    finishReason: first === undefined ? undefined : parseFinish(first.finish_reason, calls),
    outputCharacters,
    failure: error === undefined ? undefined : parseOpenAiStreamError(error),
  };
}

/** Characters that a model wrote in a message or a delta. */
export function charactersOf(message: JsonObject): number {
  let characters = 0;
  for (const text of textsOf(message)) characters += text.length;
  return characters;
}

/** What a model wrote in a message or a delta. */
export function textsOf(message: JsonObject): string[] {
  const thought = textsIn(message.reasoning_content);
  const texts = [...textsIn(message.content), ...textsIn(message.refusal)];
  texts.push(...(thought.length === 0 ? textsIn(message.reasoning) : thought));
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.filter(isObject) : [];
  for (const called of [...calls.map((call) => call.function), message.function_call])
    if (isObject(called)) texts.push(...textsIn(called.name), ...textsIn(called.arguments));
  return texts;
}

function textsIn(value: Json | undefined): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  if (!Array.isArray(value)) return [];
  return value.filter(isObject).flatMap((part) => [...textsIn(part.text), ...textsIn(part.thinking)]);
}
