import { WeirError } from "@weir/kernel";
import type { ChatResponse, Extra, FinishReason, Json, JsonObject, Part, TokenLogprob, Usage } from "./core.ts";
import type { ProviderFailure, Rendered, RenderContext } from "./dialect.ts";
import { parseLogprob, renderLogprob } from "./openai-chat-response.ts";
import { parseOpenAiStreamError } from "./openai-errors.ts";
import {
  isOwnThinking,
  NAME,
  parseContent,
  parseFunctionCall,
  parseReasoning,
  renderFunctionCall,
  renderOutputPart,
  renderReasoning,
} from "./openai-responses-items.ts";
import { renderFormat } from "./openai-responses-render.ts";
import { noteMessage } from "./openai-responses-request.ts";
import { renderResponsesUsage, usageOfResponse } from "./openai-usage.ts";
import { describeDropped, fieldsFor, isObject, names, output, spellingFor, unknownFields } from "./shape.ts";

const RESPONSE_KNOWN = names("id object created_at model status output usage incomplete_details error");

/** @throws WeirError provider_bad_response, or the provider's own error where the response failed */
export function parseResponsesResponse(body: JsonObject): ChatResponse {
  throwIfFailed(body);
  const parts: Part[] = [];
  const logprobs: TokenLogprob[] = [];
  for (const [at, value] of output.list(body.output, "output").entries()) {
    const item = output.object(value, `output[${at}]`);
    parts.push(...parseItem(item, `output[${at}]`));
    if (item.type === "message") logprobs.push(...logprobsOf(item.content));
  }
  return {
    id: typeof body.id === "string" ? body.id : "",
    model: typeof body.model === "string" ? body.model : "",
    createdS: typeof body.created_at === "number" ? Math.floor(body.created_at) : 0,
    choices: [
      {
        index: 0,
        parts,
        finishReason: finishOf(body, parts.some(isCall)),
        logprobs: logprobs.length === 0 ? undefined : logprobs,
      },
    ],
    usage: usageOfResponse(body),
    extra: echoOf(body),
  };
}

/** The rest of a response repeats the request and says nothing that another dialect would have to carry. */
export const echoOf = (response: JsonObject): Extra => ({
  dialect: NAME,
  fields: {},
  spelling: { response: unknownFields(response, RESPONSE_KNOWN) ?? {}, usage: response.usage ?? null },
});

/** The rest of a response of this dialect, for writing it again. */
export function echoFor(extra: Extra | undefined): JsonObject {
  const echo = spellingFor(NAME, extra)?.response;
  return isObject(echo) ? echo : {};
}

export function throwIfFailed(body: JsonObject): void {
  const failure = failureOf(body);
  if (failure !== undefined) throw failure.error;
}

function failureOf(body: JsonObject): ProviderFailure | undefined {
  if (isObject(body.error)) return parseOpenAiStreamError(body.error);
  if (body.status !== "failed") return undefined;
  return { error: new WeirError("provider_error", "the provider's response failed") };
}

/** The parts of one output item; of items that only this dialect has, one unknown part. */
export function parseItem(item: JsonObject, path: string): Part[] {
  if (item.type === "message") {
    const parts = parseContent(output, item.content, `${path}.content`);
    noteMessage(parts, unknownFields(item, names("type role content")) ?? {}, false);
    return parts;
  }
  if (item.type === "function_call") return [parseFunctionCall(output, item, path)];
  if (item.type === "reasoning") return [parseReasoning(item)];
  return [{ type: "unknown", dialect: NAME, value: item }];
}

/** A call that the client must answer. */
const isCall = (part: Part): boolean =>
  part.type === "tool-call" || (part.type === "unknown" && part.value.type === "custom_tool_call");

function logprobsOf(content: Json | undefined): TokenLogprob[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part) =>
    isObject(part) && Array.isArray(part.logprobs) ? part.logprobs.filter(isObject).map(parseLogprob) : [],
  );
}

/** Why a response ended: its status, and for an incomplete one the reason. One that runs in the background has only paused. */
export function finishOf(body: JsonObject, hasCalls: boolean): FinishReason {
  if (body.status === "incomplete") {
    const reason = isObject(body.incomplete_details) ? body.incomplete_details.reason : undefined;
    return reason === "content_filter" ? "content-filter" : "length";
  }
  if (body.status === "failed" || body.status === "cancelled") return "error";
  if (body.status === "in_progress" || body.status === "queued") return "pause";
  return hasCalls ? "tool-calls" : "stop";
}

/** Ids of what another dialect has none for; they hold the request's, which nobody can guess. */
export const itemId = (prefix: string, requestId: string, index: number): string =>
  `${prefix}_${requestId.replaceAll("-", "")}${index.toString(16).padStart(4, "0")}`;

/** What every response says, in the words of the request that it answers. */
export function responseHead(context: RenderContext, id: string, model: string, createdS: number): JsonObject {
  const { request } = context;
  const asked = fieldsFor(NAME, request.extra) ?? {};
  const text = isObject(asked.text) ? asked.text : {};
  const reasoning = isObject(asked.reasoning) ? asked.reasoning : {};
  const first = request.messages[0];
  const told = spellingFor(NAME, first?.extra)?.instructions === true ? first?.parts[0] : undefined;
  const tools = (request.tools ?? []).map((tool): JsonObject => {
    if (tool.type === "provider") return tool.value;
    const { name, description, parameters, strict } = tool;
    return {
      type: "function",
      name,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? true,
    };
  });
  const choice = request.toolChoice;
  return {
    id: id === "" ? `resp_${context.requestId.replaceAll("-", "")}` : id,
    object: "response",
    created_at: createdS === 0 ? context.nowS : createdS,
    status: "in_progress",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: told?.type === "text" ? told.text : null,
    max_output_tokens: request.maxOutputTokens ?? null,
    model,
    output: [],
    parallel_tool_calls: request.parallelToolCalls ?? true,
    previous_response_id: asked.previous_response_id ?? null,
    reasoning: { summary: null, ...reasoning, effort: request.reasoning?.effort ?? null },
    store: asked.store ?? false,
    temperature: request.temperature ?? 1,
    text: {
      ...text,
      format: request.responseFormat === undefined ? { type: "text" } : renderFormat(request.responseFormat),
    },
    tool_choice:
      asked.tool_choice ??
      (choice?.mode === "named" ? { type: "function", name: choice.name } : (choice?.mode ?? "auto")),
    tools,
    top_p: request.topP ?? 1,
    truncation: asked.truncation ?? "disabled",
    usage: null,
    user: request.user ?? null,
    metadata: asked.metadata ?? {},
  };
}

/** How a finish reason is said: the status and the details of what is incomplete. */
export function statusOf(reason: FinishReason): JsonObject {
  if (reason === "length") return { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };
  if (reason === "content-filter" || reason === "refusal")
    return { status: "incomplete", incomplete_details: { reason: "content_filter" } };
  if (reason === "error")
    return { status: "failed", error: { code: "server_error", message: "the provider's answer failed half-way" } };
  return { status: "completed" };
}

export function renderResponsesResponse(response: ChatResponse, context: RenderContext): Rendered<JsonObject> {
  const dropped: string[] = [];
  describeDropped(NAME, response.extra, "", dropped);
  const [choice, ...others] = response.choices;
  for (const other of others) dropped.push(`choices[${other.index}]`);
  const own = response.extra?.dialect === NAME;
  const items = choice === undefined ? [] : renderItems(choice.parts, choice.logprobs, context.requestId, dropped);
  if (choice !== undefined) describeDropped(NAME, choice.extra, "choices[0]", dropped);
  const body: JsonObject = {
    ...responseHead(
      context,
      own || response.id.startsWith("resp_") ? response.id : "",
      response.model,
      response.createdS,
    ),
    ...echoFor(response.extra),
    ...statusOf(choice?.finishReason ?? "stop"),
    output: items,
  };
  if (response.usage !== undefined)
    body.usage = renderResponsesUsage(response.usage, spellingFor(NAME, response.extra)?.usage);
  return { body, dropped };
}

function renderItems(
  parts: readonly Part[],
  logprobs: readonly TokenLogprob[] | undefined,
  requestId: string,
  dropped: string[],
): JsonObject[] {
  const items: JsonObject[] = [];
  let content: JsonObject[] | undefined;
  let unplaced = logprobs;
  for (const [at, part] of parts.entries()) {
    const place = `choices[0].content[${at}]`;
    const index = items.length;
    if (part.type === "text" || part.type === "refusal") {
      const spelling = part.type === "text" ? spellingFor(NAME, part.extra) : undefined;
      if (part.type === "text") describeDropped(NAME, part.extra, place, dropped);
      if (content === undefined || spelling?.message !== undefined) {
        content = [];
        const own = isObject(spelling?.message)
          ? spelling.message
          : { id: itemId("msg", requestId, index), status: "completed" };
        items.push({ ...own, type: "message", role: "assistant", content });
      }
      const rendered = renderOutputPart(part);
      if (part.type === "text" && rendered.logprobs === undefined && unplaced !== undefined) {
        rendered.logprobs = unplaced.map(renderLogprob);
      }
      if (part.type === "text") unplaced = undefined;
      content.push(rendered);
      continue;
    }
    content = undefined;
    const item = renderOtherItem(part, index, requestId, place, dropped);
    if (item !== undefined) items.push(item);
  }
  return items;
}

/** The whole item of a part that is no message; undefined for what this dialect has no place for. */
export function renderOtherItem(
  part: Part,
  index: number,
  requestId: string,
  place: string,
  dropped: string[],
): JsonObject | undefined {
  if (part.type === "tool-call") {
    describeDropped(NAME, part.extra, place, dropped);
    return renderFunctionCall(part, itemId("fc", requestId, index), "completed");
  }
  if (part.type === "thinking") {
    if (!isOwnThinking(part) && part.signature !== undefined) dropped.push(`${place}.signature`);
    if (part.redacted !== undefined) dropped.push(`${place}.redacted`);
    return renderReasoning(part, itemId("rs", requestId, index));
  }
  if (part.type === "unknown" && part.dialect === NAME) return part.value;
  if (part.type === "media" && part.kind === "image" && "base64" in part.source)
    return {
      id: itemId("ig", requestId, index),
      type: "image_generation_call",
      status: "completed",
      result: part.source.base64,
    };
  dropped.push(`${place}.${part.type === "media" ? part.kind : part.type}`);
  return undefined;
}

export function inspectResponsesResponse(body: JsonObject): {
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
  outputCharacters: number;
  failure: ProviderFailure | undefined;
} {
  const items = Array.isArray(body.output) ? body.output.filter(isObject) : [];
  let outputCharacters = 0;
  for (const item of items) outputCharacters += charactersOf(item);
  const calls = items.some((item) => item.type === "function_call" || item.type === "custom_tool_call");
  const finishReason = typeof body.status === "string" ? finishOf(body, calls) : undefined;
  return { usage: usageOfResponse(body), finishReason, outputCharacters, failure: failureOf(body) };
}

function charactersOf(item: JsonObject): number {
  let characters = 0;
  for (const value of [item.name, item.arguments, item.input])
    if (typeof value === "string") characters += value.length;
  for (const list of [item.content, item.summary])
    if (Array.isArray(list))
      for (const part of list)
        if (isObject(part))
          for (const value of [part.text, part.refusal]) if (typeof value === "string") characters += value.length;
  return characters;
}
