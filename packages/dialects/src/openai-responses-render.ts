import type { ChatRequest, JsonObject, Message, Part, ResponseFormat, Tool, ToolResultPart } from "./core.ts";
import type { Rendered } from "./dialect.ts";
import {
  isOwnThinking,
  NAME,
  renderFunctionCall,
  renderInputPart,
  renderOutputPart,
  renderReasoning,
} from "./openai-responses-items.ts";
import { describeDropped, fieldsFor, isObject, spellingFor } from "./shape.ts";

/** Writes a Responses request. A system message at the head of another dialect's request becomes `instructions`. */
export function renderResponsesRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  describeDropped(NAME, request.extra, "", dropped);
  const fields = fieldsFor(NAME, request.extra);
  const own = spellingFor(NAME, request.extra) !== undefined;
  const body: JsonObject = { ...fields, model: request.model };
  const set = (name: string, value: JsonObject[string] | undefined): void => {
    if (value !== undefined) body[name] = value;
  };
  const items: JsonObject[] = [];
  for (const [at, message] of request.messages.entries()) {
    const instructs = own
      ? spellingFor(NAME, message.extra)?.instructions === true
      : at === 0 && message.role === "system";
    const [only, more] = message.parts;
    if (instructs && only?.type === "text" && more === undefined) body.instructions = only.text;
    else renderMessage(message, `messages[${at}]`, items, dropped);
  }
  const [first] = request.messages.filter((message) => message.role !== "system");
  const plain = first?.parts[0];
  if (spellingFor(NAME, request.extra)?.input === "text" && items.length === 1 && plain?.type === "text")
    body.input = plain.text;
  else body.input = items;
  const tools: JsonObject[] = [];
  for (const [at, tool] of (request.tools ?? []).entries()) {
    const json = renderTool(tool, own, `tools[${at}]`, dropped);
    if (json !== undefined) tools.push(json);
  }
  if (tools.length > 0 || request.tools?.length === 0) body.tools = tools;
  const { toolChoice } = request;
  if (toolChoice !== undefined && body.tool_choice === undefined && (tools.length > 0 || own))
    body.tool_choice = toolChoice.mode === "named" ? { type: "function", name: toolChoice.name } : toolChoice.mode;
  set("parallel_tool_calls", request.parallelToolCalls);
  if (request.responseFormat !== undefined)
    body.text = { ...(isObject(fields?.text) ? fields.text : {}), format: renderFormat(request.responseFormat) };
  set("max_output_tokens", request.maxOutputTokens);
  set("temperature", request.temperature);
  set("top_p", request.topP);
  set("top_logprobs", request.topLogprobs);
  if (request.logprobs === true && fields?.include === undefined) body.include = ["message.output_text.logprobs"];
  renderReasoningOptions(request, fields, body, dropped);
  set("user", request.user);
  if (request.stream) body.stream = true;
  for (const [name, value] of Object.entries({
    top_k: request.topK,
    stop: request.stop,
    seed: request.seed,
    n: request.n === 1 ? undefined : request.n,
    presence_penalty: request.presencePenalty === 0 ? undefined : request.presencePenalty,
    frequency_penalty: request.frequencyPenalty === 0 ? undefined : request.frequencyPenalty,
  }))
    if (value !== undefined) dropped.push(name);
  // Nobody but its own client can ask for what OpenAI would keep.
  if (!own && body.store === undefined) body.store = false;
  return { body, dropped };
}

function renderReasoningOptions(
  request: ChatRequest,
  fields: JsonObject | undefined,
  body: JsonObject,
  dropped: string[],
): void {
  const { reasoning } = request;
  const more = isObject(fields?.reasoning) ? fields.reasoning : {};
  const options: JsonObject = { ...more };
  if (reasoning?.effort !== undefined) options.effort = reasoning.effort;
  else if (reasoning?.budgetTokens !== undefined) {
    dropped.push("reasoning.budget_tokens");
    options.effort = reasoning.budgetTokens <= 2048 ? "low" : reasoning.budgetTokens <= 8192 ? "medium" : "high";
  }
  if (reasoning?.includeThoughts === true && options.summary === undefined) options.summary = "auto";
  if (Object.keys(options).length > 0) body.reasoning = options;
}

function renderMessage(message: Message, path: string, items: JsonObject[], dropped: string[]): void {
  describeDropped(NAME, message.extra, path, dropped);
  if (message.name !== undefined) dropped.push(`${path}.name`);
  if (spellingFor(NAME, message.extra)?.items === true) {
    for (const part of message.parts) if (part.type === "unknown" && part.dialect === NAME) items.push(part.value);
    return;
  }
  if (message.role === "assistant") return renderAssistant(message.parts, path, items, dropped);
  const content: JsonObject[] = [];
  for (const [at, part] of message.parts.entries()) {
    const place = `${path}.content[${at}]`;
    if (part.type === "tool-result") items.push(renderResult(part, place, dropped));
    else {
      const json = renderInputPart(part, place, dropped);
      if (json !== undefined) content.push(json);
    }
  }
  // Nothing is said of a message that only held results, or only what had to stay behind.
  if (content.length === 0 && message.parts.length > 0) return;
  const role = message.role === "tool" ? "user" : message.role;
  items.push({ ...fieldsFor(NAME, message.extra), type: "message", role, content: textOr(content) });
}

/** Text alone is written as text, as most clients do. */
function textOr(content: JsonObject[]): string | JsonObject[] {
  const [only] = content;
  if (only === undefined) return "";
  const plain = content.length === 1 && only.type === "input_text" && Object.keys(only).length === 2;
  return plain && typeof only.text === "string" ? only.text : content;
}

function renderResult(part: ToolResultPart, path: string, dropped: string[]): JsonObject {
  describeDropped(NAME, part.extra, path, dropped);
  if (part.isError === true) dropped.push(`${path}.is_error`);
  const output: JsonObject[] = [];
  for (const [at, inner] of part.parts.entries()) {
    const json = renderInputPart(inner, `${path}.content[${at}]`, dropped);
    if (json !== undefined) output.push(json);
  }
  const spelling = spellingFor(NAME, part.extra);
  const own = isObject(spelling?.item) ? spelling.item : {};
  return {
    ...fieldsFor(NAME, part.extra),
    type: "function_call_output",
    ...own,
    call_id: part.id,
    output: textOr(output),
  };
}

function renderAssistant(parts: readonly Part[], path: string, items: JsonObject[], dropped: string[]): void {
  let content: JsonObject[] | undefined;
  for (const [at, part] of parts.entries()) {
    const place = `${path}.content[${at}]`;
    if (part.type === "text" || part.type === "refusal") {
      const spelling = part.type === "text" ? spellingFor(NAME, part.extra) : undefined;
      if (part.type === "text") describeDropped(NAME, part.extra, place, dropped);
      if (content === undefined || spelling?.message !== undefined) {
        const own = isObject(spelling?.message) ? spelling.message : {};
        const text = spelling?.text === true && part.type === "text";
        content = [];
        items.push({ ...own, type: "message", role: "assistant", content: text ? part.text : content });
        if (text) continue;
      }
      content.push(renderOutputPart(part));
      continue;
    }
    content = undefined;
    if (part.type === "tool-call") {
      describeDropped(NAME, part.extra, place, dropped);
      items.push(renderFunctionCall(part, undefined, undefined));
    } else if (part.type === "thinking" && isOwnThinking(part)) items.push(renderReasoning(part, ""));
    else if (part.type === "unknown" && part.dialect === NAME) items.push(part.value);
    else dropped.push(`${place}.${part.type === "media" ? part.kind : part.type}`);
  }
}

function renderTool(tool: Tool, own: boolean, path: string, dropped: string[]): JsonObject | undefined {
  if (tool.type === "provider") {
    if (tool.dialect === NAME) return tool.value;
    dropped.push(`${path}.${typeof tool.value.type === "string" ? tool.value.type : "provider"}`);
    return undefined;
  }
  describeDropped(NAME, tool.extra, path, dropped);
  const rendered: JsonObject = { ...fieldsFor(NAME, tool.extra), type: "function", name: tool.name };
  if (tool.description !== undefined) rendered.description = tool.description;
  if (tool.parameters !== undefined) rendered.parameters = tool.parameters;
  else if (!own) rendered.parameters = { type: "object", properties: {} };
  if (tool.strict !== undefined) rendered.strict = tool.strict;
  // Strict is the default here only, and schemas of other dialects are not written for it.
  else if (!own) rendered.strict = false;
  return rendered;
}

export function renderFormat(format: ResponseFormat): JsonObject {
  if (format.type === "text") return { type: "text" };
  if (format.type === "json") return { type: "json_object" };
  const rendered: JsonObject = { type: "json_schema", name: format.name ?? "answer", schema: format.schema };
  if (format.description !== undefined) rendered.description = format.description;
  if (format.strict !== undefined) rendered.strict = format.strict;
  return rendered;
}
