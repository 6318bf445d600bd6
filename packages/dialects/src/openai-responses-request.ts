import type { ChatRequest, Json, JsonObject, Message, Part, ResponseFormat, Tool, ToolChoice } from "./core.ts";
import { NAME, parseContent, parseFunctionCall, parseReasoning } from "./openai-responses-items.ts";
import { extraOf, input, isObject, names, unknownFields } from "./shape.ts";

const KNOWN = names(
  "model input instructions tools tool_choice parallel_tool_calls text reasoning max_output_tokens temperature",
  "top_p top_logprobs user stream",
);
const MESSAGE_KNOWN = names("type role content");
const TOOL_KNOWN = names("type name description parameters strict");

/**
 * Reads a Responses request (https://platform.openai.com/docs/api-reference/responses/create). What the assistant said and did in a row
 * (reasoning, message, function calls) becomes one message, as the other dialects have it. `previous_response_id`, `conversation`,
 * `store` and the like stay in `extra`: only OpenAI can honour them.
 * @throws WeirError invalid_request
 */
export function parseResponsesRequest(body: JsonObject): ChatRequest {
  const fields = new Map(Object.entries(unknownFields(body, KNOWN) ?? {}));
  const messages: Message[] = [];
  const instructions = body.instructions ?? undefined;
  if (instructions !== undefined)
    messages.push({
      role: "system",
      parts: parseContent(input, instructions, "instructions"),
      extra: extraOf(NAME, undefined, { instructions: true }),
    });
  if (typeof body.input === "string") messages.push({ role: "user", parts: [{ type: "text", text: body.input }] });
  else
    for (const [at, item] of (input.optionalList(body.input, "input") ?? []).entries())
      addItem(messages, input.object(item, `input[${at}]`), `input[${at}]`);
  const text = input.optionalObject(body.text, "text");
  const otherText = text && unknownFields(text, names("format"));
  if (otherText !== undefined) fields.set("text", otherText);
  const reasoning = input.optionalObject(body.reasoning, "reasoning");
  const otherReasoning = reasoning && unknownFields(reasoning, names("effort"));
  if (otherReasoning !== undefined) fields.set("reasoning", otherReasoning);
  const effort = input.optionalString(reasoning?.effort, "reasoning.effort");
  const include = input.optionalList(body.include, "include");
  const toolChoice = parseToolChoice(body.tool_choice, fields);
  const summary = typeof reasoning?.summary === "string";
  return {
    model: input.string(body.model, "model"),
    messages,
    tools: input.optionalList(body.tools, "tools")?.map((tool, at) => parseTool(tool, `tools[${at}]`)),
    toolChoice,
    parallelToolCalls: input.optionalBoolean(body.parallel_tool_calls, "parallel_tool_calls"),
    responseFormat: parseFormat(text?.format, fields),
    maxOutputTokens: input.optionalInteger(body.max_output_tokens, "max_output_tokens", 0),
    temperature: input.optionalNumber(body.temperature, "temperature"),
    topP: input.optionalNumber(body.top_p, "top_p"),
    logprobs: include?.includes("message.output_text.logprobs") === true ? true : undefined,
    topLogprobs: input.optionalInteger(body.top_logprobs, "top_logprobs", 0),
    reasoning: effort === undefined && !summary ? undefined : { effort, includeThoughts: summary ? true : undefined },
    user: input.optionalString(body.user, "user"),
    stream: input.optionalBoolean(body.stream, "stream") ?? false,
    extra: extraOf(NAME, fields.size === 0 ? undefined : Object.fromEntries(fields), {
      input: typeof body.input === "string" ? "text" : "items",
    }),
  };
}

function addItem(messages: Message[], item: JsonObject, path: string): void {
  const type = item.type ?? (item.role === undefined ? undefined : "message");
  switch (typeof type === "string" ? type : "") {
    case "message":
      return addMessage(messages, item, path);
    case "function_call":
      return said(messages, parseFunctionCall(input, item, path));
    case "reasoning":
      return said(messages, parseReasoning(item));
    case "function_call_output": {
      const parts =
        typeof item.output === "string" && item.output === "" ? [] : parseContent(input, item.output, `${path}.output`);
      const { id, status, ...rest } = unknownFields(item, names("type call_id output")) ?? {};
      const own: JsonObject = {};
      if (id !== undefined) own.id = id;
      if (status !== undefined) own.status = status;
      const extra = extraOf(NAME, Object.keys(rest).length === 0 ? undefined : rest, { item: own });
      const result: Part = { type: "tool-result", id: input.string(item.call_id, `${path}.call_id`), parts, extra };
      messages.push({ role: "tool", parts: [result] });
      return;
    }
    default: {
      const named = input.string(item.type, `${path}.type`);
      // Items that only this dialect has (references, built-in tools, compactions) stand in messages of their own.
      const role = named.endsWith("_output") ? "tool" : "assistant";
      messages.push({
        role,
        parts: [{ type: "unknown", dialect: NAME, value: item }],
        extra: extraOf(NAME, undefined, { items: true }),
      });
    }
  }
}

function addMessage(messages: Message[], item: JsonObject, path: string): void {
  const { role } = item;
  const parts = parseContent(input, item.content, `${path}.content`);
  if (role === "assistant") {
    noteMessage(parts, unknownFields(item, MESSAGE_KNOWN) ?? {}, typeof item.content === "string");
    for (const part of parts) said(messages, part);
    return;
  }
  if (role !== "user" && role !== "system" && role !== "developer")
    throw input.fail(`${path}.role`, "user, system, developer or assistant");
  messages.push({ role, parts, extra: extraOf(NAME, unknownFields(item, MESSAGE_KNOWN)) });
}

/** Which parts were one message, and its id, is noted at its first part. */
export function noteMessage(parts: readonly Part[], own: JsonObject, text: boolean): void {
  const [first] = parts;
  if (first?.type === "text")
    first.extra = {
      dialect: NAME,
      fields: first.extra?.fields ?? {},
      spelling: { ...first.extra?.spelling, message: own, text },
    };
}

/** Adds to the assistant's turn, or starts one. */
function said(messages: Message[], part: Part): void {
  const last = messages.at(-1);
  if (last?.role === "assistant" && last.extra === undefined) last.parts.push(part);
  else messages.push({ role: "assistant", parts: [part] });
}

function parseTool(value: Json, path: string): Tool {
  const tool = input.object(value, path);
  if (tool.type !== "function") return { type: "provider", dialect: NAME, value: tool };
  return {
    type: "function",
    name: input.string(tool.name, `${path}.name`),
    description: input.optionalString(tool.description, `${path}.description`),
    parameters: input.optionalObject(tool.parameters, `${path}.parameters`),
    strict: input.optionalBoolean(tool.strict, `${path}.strict`),
    extra: extraOf(NAME, unknownFields(tool, TOOL_KNOWN)),
  };
}

function parseToolChoice(choice: Json | undefined, fields: Map<string, Json>): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice === "auto" || choice === "none" || choice === "required") return { mode: choice };
  const object = input.object(choice, "tool_choice");
  if (object.type === "function") return { mode: "named", name: input.string(object.name, "tool_choice.name") };
  fields.set("tool_choice", object);
  return object.type === "allowed_tools" && (object.mode === "auto" || object.mode === "required")
    ? { mode: object.mode }
    : undefined;
}

function parseFormat(value: Json | undefined, fields: Map<string, Json>): ResponseFormat | undefined {
  const format = input.optionalObject(value, "text.format");
  if (format === undefined) return undefined;
  if (format.type === "text") return { type: "text" };
  if (format.type === "json_object") return { type: "json" };
  if (format.type === "json_schema")
    return {
      type: "schema",
      name: input.optionalString(format.name, "text.format.name"),
      description: input.optionalString(format.description, "text.format.description"),
      schema: input.optionalObject(format.schema, "text.format.schema") ?? {},
      strict: input.optionalBoolean(format.strict, "text.format.strict"),
    };
  const other = fields.get("text");
  fields.set("text", { ...(isObject(other) ? other : {}), format });
  return undefined;
}
