import type { ChatRequest, JsonObject, Message, Part, ResponseFormat, Tool, ToolCallPart, ToolChoice } from "./core.ts";
import type { Rendered } from "./dialect.ts";
import { renderContent, renderPart } from "./openai-chat-parts.ts";
import { describeDropped, fieldsFor, isObject, spellingFor } from "./shape.ts";

const NAME = "openai-chat";

/**
 * Writes a request for OpenAI or what is compatible with it. A cap is `max_completion_tokens` (`max_tokens` is refused by newer models)
 * unless the client of this dialect said `max_tokens`. Usage is asked of every stream whose client did not decide on it.
 */
export function renderChatRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  const spelling = spellingFor(NAME, request.extra) ?? {};
  describeDropped(NAME, request.extra, "", dropped);
  const fields = fieldsFor(NAME, request.extra);
  const body: JsonObject = { ...fields, model: request.model, messages: renderMessages(request.messages, dropped) };
  const set = (name: string, value: JsonObject[string] | undefined): void => {
    if (value !== undefined) body[name] = value;
  };
  renderTools(request, spelling, body, dropped);
  set("parallel_tool_calls", request.parallelToolCalls);
  set("response_format", request.responseFormat && renderResponseFormat(request.responseFormat));
  if (spelling.max_tokens !== undefined) set("max_tokens", request.maxOutputTokens);
  if (spelling.max_tokens !== "only") set("max_completion_tokens", request.maxOutputTokens);
  set("temperature", request.temperature);
  set("top_p", request.topP);
  if (spelling.top_k === true) set("top_k", request.topK);
  else if (request.topK !== undefined) dropped.push("top_k");
  set("stop", request.stop);
  set("seed", request.seed);
  set("n", request.n);
  set("logprobs", request.logprobs);
  set("top_logprobs", request.topLogprobs);
  set("presence_penalty", request.presencePenalty);
  set("frequency_penalty", request.frequencyPenalty);
  if (isObject(spelling.reasoning)) body.reasoning = spelling.reasoning;
  else set("reasoning_effort", effortOf(request, dropped));
  set("user", request.user);
  if (request.stream) {
    body.stream = true;
    const other = isObject(fields?.stream_options) ? fields.stream_options : {};
    if (request.streamUsage !== false) body.stream_options = { ...other, include_usage: true };
  }
  return { body, dropped };
}

/** Dialects that give thinking a budget of tokens are answered with the nearest effort. */
function effortOf(request: ChatRequest, dropped: string[]): string | undefined {
  const { reasoning } = request;
  if (reasoning?.effort !== undefined || reasoning?.budgetTokens === undefined) return reasoning?.effort;
  dropped.push("reasoning.budget_tokens");
  if (reasoning.budgetTokens === 0) return "minimal";
  return reasoning.budgetTokens <= 2048 ? "low" : reasoning.budgetTokens <= 8192 ? "medium" : "high";
}

function renderMessages(messages: readonly Message[], dropped: string[]): JsonObject[] {
  const rendered: JsonObject[] = [];
  // Tool messages hold text only and must follow their calls without a gap: what else tools gave comes after them, as the user's.
  let media: JsonObject[] = [];
  const flush = (): void => {
    if (media.length > 0) rendered.push({ role: "user", content: media });
    media = [];
  };
  for (const [at, message] of messages.entries()) {
    const path = `messages[${at}]`;
    describeDropped(NAME, message.extra, path, dropped);
    const common: JsonObject = { ...fieldsFor(NAME, message.extra) };
    if (message.name !== undefined) common.name = message.name;
    const others: Part[] = [];
    for (const part of message.parts) {
      if (part.type !== "tool-result") {
        others.push(part);
        continue;
      }
      describeDropped(NAME, part.extra, path, dropped);
      if (part.isError === true) dropped.push(`${path}.is_error`);
      const texts = part.parts.filter((inner) => inner.type !== "media");
      const content = renderContent(texts, path, dropped);
      const spelling = spellingFor(NAME, part.extra);
      if (spelling?.function_call === true)
        rendered.push({ ...common, role: "function", name: part.name ?? "", content });
      else {
        const named = spelling?.name === true && part.name !== undefined ? { name: part.name } : {};
        rendered.push({ ...common, ...named, role: "tool", tool_call_id: part.id, content });
      }
      for (const inner of part.parts) {
        const json = inner.type === "media" ? renderPart(inner, path, dropped) : undefined;
        if (json === undefined) continue;
        if (media.length === 0 || media.at(-1)?.type === "text")
          media.push({ type: "text", text: `Result of ${part.id}:` });
        media.push(json);
      }
    }
    if (others.length === 0 && message.parts.length > 0) continue;
    flush();
    const before = dropped.length;
    const said =
      message.role === "assistant"
        ? renderAssistant(others, common, path, dropped)
        : {
            ...common,
            role: message.role === "tool" ? "user" : message.role,
            content: renderContent(others, path, dropped),
          };
    // Where all that it held had to stay behind, nothing is better than an empty message, which some refuse.
    if (dropped.length > before && isEmpty(said)) continue;
    rendered.push(said);
  }
  flush();
  return rendered;
}

const isEmpty = (message: JsonObject): boolean =>
  (message.content === "" || message.content === null) &&
  message.tool_calls === undefined &&
  message.refusal === undefined;

function renderAssistant(parts: readonly Part[], common: JsonObject, path: string, dropped: string[]): JsonObject {
  const message: JsonObject = { ...common, role: "assistant" };
  const content: Part[] = [];
  const calls: JsonObject[] = [];
  for (const part of parts) {
    if (part.type === "tool-call") {
      describeDropped(NAME, part.extra, `${path}.tool_calls[${calls.length}]`, dropped);
      if (spellingFor(NAME, part.extra)?.function_call === true)
        message.function_call = { ...fieldsFor(NAME, part.extra), name: part.name, arguments: part.arguments };
      else calls.push(renderToolCall(part));
    } else if (part.type === "unknown" && part.dialect === NAME && part.value.id !== undefined) calls.push(part.value);
    else if (part.type === "thinking" && spellingFor(NAME, part.extra)?.key !== undefined)
      message[thinkingKey(part)] = part.text;
    else content.push(part);
  }
  const [only] = content;
  if (content.length === 1 && only?.type === "refusal") message.refusal = only.text;
  const rendered = message.refusal === undefined ? renderContent(content, path, dropped) : "";
  message.content = rendered === "" ? null : rendered;
  if (calls.length > 0) message.tool_calls = calls;
  // A message with nothing in it is refused.
  else if (
    message.content === null &&
    message.refusal === undefined &&
    message.function_call === undefined &&
    common.audio === undefined
  )
    message.content = "";
  return message;
}

/** Where this dialect's clients look for thinking: the field it came in, else DeepSeek's, which most of them know. */
export function thinkingKey(part: Part): string {
  const key = part.type === "thinking" ? spellingFor(NAME, part.extra)?.key : undefined;
  return typeof key === "string" ? key : "reasoning_content";
}

export function renderToolCall(part: ToolCallPart): JsonObject {
  const called = { name: part.name, arguments: part.arguments };
  return { ...fieldsFor(NAME, part.extra), id: part.id, type: "function", function: called };
}

function renderTools(request: ChatRequest, spelling: JsonObject, body: JsonObject, dropped: string[]): void {
  const legacy = spelling.functions === true;
  const rendered: JsonObject[] = [];
  for (const [at, tool] of (request.tools ?? []).entries()) {
    const json = renderTool(tool, legacy, `tools[${at}]`, dropped);
    if (json !== undefined) rendered.push(json);
  }
  if (rendered.length > 0 || request.tools?.length === 0) body[legacy ? "functions" : "tools"] = rendered;
  if (request.toolChoice === undefined || body.tool_choice !== undefined) return;
  const { toolChoice } = request;
  if (legacy) body.function_call = toolChoice.mode === "named" ? { name: toolChoice.name } : toolChoice.mode;
  // A choice among no tools is refused.
  else if (rendered.length > 0 || toolChoice.mode === "none") body.tool_choice = renderToolChoice(toolChoice);
}

const renderToolChoice = (choice: ToolChoice): string | JsonObject =>
  choice.mode === "named" ? { type: "function", function: { name: choice.name } } : choice.mode;

function renderTool(tool: Tool, legacy: boolean, path: string, dropped: string[]): JsonObject | undefined {
  if (tool.type === "provider") {
    if (tool.dialect === NAME) return tool.value;
    dropped.push(`${path}.${typeof tool.value.type === "string" ? tool.value.type : "provider"}`);
    return undefined;
  }
  describeDropped(NAME, tool.extra, path, dropped);
  const { function: inner, ...outer } = fieldsFor(NAME, tool.extra) ?? {};
  const called: JsonObject = { ...(isObject(inner) ? inner : {}), name: tool.name };
  if (tool.description !== undefined) called.description = tool.description;
  if (tool.parameters !== undefined) called.parameters = tool.parameters;
  if (tool.strict !== undefined) called.strict = tool.strict;
  return legacy ? { ...outer, ...called } : { ...outer, type: "function", function: called };
}

function renderResponseFormat(format: ResponseFormat): JsonObject {
  if (format.type === "text") return { type: "text" };
  if (format.type === "json") return { type: "json_object" };
  // OpenAI asks for a name, which not every dialect has.
  const schema: JsonObject = { name: format.name ?? "answer", schema: format.schema };
  if (format.description !== undefined) schema.description = format.description;
  if (format.strict !== undefined) schema.strict = format.strict;
  return { type: "json_schema", json_schema: schema };
}
