import type {
  ChatRequest,
  FunctionTool,
  Json,
  JsonObject,
  Message,
  Part,
  Reasoning,
  ResponseFormat,
  Role,
  Tool,
  ToolCallPart,
  ToolChoice,
} from "./core.ts";
import { parseContent } from "./openai-chat-parts.ts";
import { extraOf, input, isObject, names, type Shape, unknownFields } from "./shape.ts";
import { toolCallId } from "./tool-call-id.ts";

const NAME = "openai-chat";
const KNOWN = names(
  "model messages tools tool_choice parallel_tool_calls response_format max_tokens",
  "max_completion_tokens temperature top_p top_k stop seed n logprobs top_logprobs presence_penalty",
  "frequency_penalty reasoning_effort reasoning user stream stream_options functions function_call",
);
const MESSAGE_KNOWN = names(
  "role content name tool_calls tool_call_id refusal function_call reasoning_content reasoning",
);
const ROLES: ReadonlySet<string> = new Set<Role>(["system", "developer", "user", "assistant", "tool"]);
const isRole = (role: string): role is Role => ROLES.has(role);

/**
 * Reads a chat completion request (https://platform.openai.com/docs/api-reference/chat/create), also one that uses the deprecated
 * `functions`, or what compatible servers add to it (top_k, reasoning, reasoning_content, video_url).
 * @throws WeirError invalid_request
 */
export function parseChatRequest(body: JsonObject): ChatRequest {
  const messages = input.list(body.messages, "messages");
  if (messages.length === 0) throw input.fail("messages", "at least one message");
  const fields = new Map(Object.entries(unknownFields(body, KNOWN) ?? {}));
  const spelling: JsonObject = {};
  const request: ChatRequest = {
    model: input.string(body.model, "model"),
    messages: messages.map((message, at) => parseMessage(message, `messages[${at}]`)),
    tools: parseTools(body, spelling),
    toolChoice: parseToolChoice(body, fields),
    parallelToolCalls: input.optionalBoolean(body.parallel_tool_calls, "parallel_tool_calls"),
    responseFormat: parseResponseFormat(body.response_format, fields),
    maxOutputTokens: parseMaxTokens(body, spelling),
    temperature: input.optionalNumber(body.temperature, "temperature"),
    topP: input.optionalNumber(body.top_p, "top_p"),
    topK: input.optionalInteger(body.top_k, "top_k"),
    stop: parseStop(body.stop),
    seed: input.optionalInteger(body.seed, "seed"),
    n: input.optionalInteger(body.n, "n", 1),
    logprobs: input.optionalBoolean(body.logprobs, "logprobs"),
    topLogprobs: input.optionalInteger(body.top_logprobs, "top_logprobs", 0),
    presencePenalty: input.optionalNumber(body.presence_penalty, "presence_penalty"),
    frequencyPenalty: input.optionalNumber(body.frequency_penalty, "frequency_penalty"),
    reasoning: parseReasoning(body, spelling),
    user: input.optionalString(body.user, "user"),
    stream: input.optionalBoolean(body.stream, "stream") ?? false,
  };
  if (request.topK !== undefined) spelling.top_k = true;
  const options = input.optionalObject(body.stream_options, "stream_options");
  request.streamUsage = input.optionalBoolean(options?.include_usage, "stream_options.include_usage") ?? false;
  const otherOptions = options && unknownFields(options, new Set(["include_usage"]));
  if (otherOptions !== undefined) fields.set("stream_options", otherOptions);
  request.extra = extraOf(
    NAME,
    fields.size === 0 ? undefined : Object.fromEntries(fields),
    Object.keys(spelling).length === 0 ? undefined : spelling,
  );
  return request;
}

function parseMessage(value: Json, path: string): Message {
  const message = input.object(value, path);
  const role = input.string(message.role, `${path}.role`);
  const name = input.optionalString(message.name, `${path}.name`);
  const extra = extraOf(NAME, unknownFields(message, MESSAGE_KNOWN));
  if (role === "tool" || role === "function") {
    const legacy = role === "function";
    const id = legacy ? legacyCallId(name ?? "") : input.string(message.tool_call_id, `${path}.tool_call_id`);
    const parts = parseContent(input, message.content, `${path}.content`);
    const spelling: JsonObject | undefined = legacy
      ? { function_call: true }
      : name === undefined
        ? undefined
        : { name: true };
    return {
      role: "tool",
      parts: [{ type: "tool-result", id, name, parts, extra: extraOf(NAME, undefined, spelling) }],
      extra,
    };
  }
  if (!isRole(role)) throw input.fail(`${path}.role`, "system, developer, user, assistant or tool");
  const parts =
    role === "assistant"
      ? parseAssistantParts(input, message, path)
      : parseContent(input, message.content, `${path}.content`);
  return { role, parts, name, extra };
}

/** What an assistant's message holds, in a request as in an answer: thinking, content, refusal, tool calls. */
export function parseAssistantParts(shape: Shape, message: JsonObject, path: string, seed = path, choice = 0): Part[] {
  const parts: Part[] = [];
  for (const key of ["reasoning_content", "reasoning"] as const) {
    const text = message[key];
    // Servers that send both mean the same text by them.
    if (typeof text !== "string" || text === "" || parts.length > 0) continue;
    parts.push({ type: "thinking", text, extra: extraOf(NAME, undefined, { key }) });
  }
  parts.push(...parseContent(shape, message.content, `${path}.content`));
  const refusal = shape.optionalString(message.refusal, `${path}.refusal`);
  if (refusal !== undefined && refusal !== "") parts.push({ type: "refusal", text: refusal });
  const calls = shape.optionalList(message.tool_calls, `${path}.tool_calls`) ?? [];
  for (const [at, call] of calls.entries())
    parts.push(
      parseToolCall(
        shape,
        shape.object(call, `${path}.tool_calls[${at}]`),
        `${path}.tool_calls[${at}]`,
        toolCallId(seed, choice, at),
      ),
    );
  const legacy = shape.optionalObject(message.function_call, `${path}.function_call`);
  if (legacy !== undefined) {
    const called = shape.string(legacy.name, `${path}.function_call.name`);
    const text = argumentsOf(shape, legacy.arguments, `${path}.function_call.arguments`);
    const extra = extraOf(NAME, unknownFields(legacy, new Set(["name", "arguments"])), { function_call: true });
    parts.push({ type: "tool-call", id: legacyCallId(called), name: called, arguments: text, extra });
  }
  return parts;
}

/** Results of the deprecated functions know their call by the function's name only. */
const legacyCallId = (name: string): string => toolCallId(`function/${name}`, 0, 0);

function parseToolCall(shape: Shape, call: JsonObject, path: string, id: string): Part {
  if (call.type === "custom" || (call.type !== undefined && call.type !== null && call.function === undefined))
    return { type: "unknown", dialect: NAME, value: call };
  const called = shape.object(call.function, `${path}.function`);
  const given = shape.optionalString(call.id, `${path}.id`);
  const part: ToolCallPart = {
    type: "tool-call",
    id: given === undefined || given === "" ? id : given,
    name: shape.string(called.name, `${path}.function.name`),
    arguments: argumentsOf(shape, called.arguments, `${path}.function.arguments`),
    // The index of a call in a stream says nothing here; Mistral repeats it in whole answers.
    extra: extraOf(NAME, unknownFields(call, new Set(["id", "type", "function", "index"]))),
  };
  return part;
}

/** Arguments are JSON text; some servers send the object itself. */
export function argumentsOf(shape: Shape, value: Json | undefined, path: string): string {
  if (value === undefined || value === null) return "";
  return isObject(value) ? JSON.stringify(value) : shape.string(value, path);
}

function parseTools(body: JsonObject, spelling: JsonObject): Tool[] | undefined {
  const tools = input.optionalList(body.tools, "tools")?.map((tool, at) => parseTool(tool, `tools[${at}]`));
  const functions = input.optionalList(body.functions, "functions");
  if (functions === undefined) return tools;
  spelling.functions = true;
  return [
    ...(tools ?? []),
    ...functions.map((entry, at) => parseFunction(input.object(entry, `functions[${at}]`), `functions[${at}]`)),
  ];
}

function parseTool(value: Json, path: string): Tool {
  const tool = input.object(value, path);
  if (tool.type !== "function" && tool.type !== undefined) return { type: "provider", dialect: NAME, value: tool };
  const parsed = parseFunction(input.object(tool.function, `${path}.function`), `${path}.function`);
  const outer = unknownFields(tool, new Set(["type", "function"]));
  const inner = parsed.extra?.fields;
  if (outer !== undefined) parsed.extra = extraOf(NAME, inner === undefined ? outer : { ...outer, function: inner });
  else if (inner !== undefined) parsed.extra = extraOf(NAME, { function: inner });
  return parsed;
}

function parseFunction(value: JsonObject, path: string): FunctionTool {
  return {
    type: "function",
    name: input.string(value.name, `${path}.name`),
    description: input.optionalString(value.description, `${path}.description`),
    parameters: input.optionalObject(value.parameters, `${path}.parameters`),
    strict: input.optionalBoolean(value.strict, `${path}.strict`),
    extra: extraOf(NAME, unknownFields(value, new Set(["name", "description", "parameters", "strict"]))),
  };
}

function parseToolChoice(body: JsonObject, fields: Map<string, Json>): ToolChoice | undefined {
  const legacy = body.function_call;
  const choice = body.tool_choice ?? legacy;
  if (choice === undefined || choice === null) return undefined;
  // "any" is Mistral's word.
  if (choice === "any") return { mode: "required" };
  if (choice === "auto" || choice === "none" || choice === "required") return { mode: choice };
  if (typeof choice === "string") throw input.fail("tool_choice", "auto, none, required or a tool");
  const named = input.object(choice, "tool_choice");
  const target = named.type === undefined && legacy !== undefined ? named : named.function;
  if (isObject(target)) return { mode: "named", name: input.string(target.name, "tool_choice.function.name") };
  fields.set("tool_choice", named);
  // Which tools are allowed stays behind where another dialect is rendered; whether one must be called does not.
  const allowed = named.allowed_tools;
  return isObject(allowed) && (allowed.mode === "auto" || allowed.mode === "required")
    ? { mode: allowed.mode }
    : undefined;
}

function parseResponseFormat(value: Json | undefined, fields: Map<string, Json>): ResponseFormat | undefined {
  const format = input.optionalObject(value, "response_format");
  if (format === undefined) return undefined;
  if (format.type === "text") return { type: "text" };
  if (format.type === "json_object") return { type: "json" };
  if (format.type !== "json_schema") {
    fields.set("response_format", format);
    return undefined;
  }
  const schema = input.object(format.json_schema, "response_format.json_schema");
  const path = "response_format.json_schema";
  return {
    type: "schema",
    name: input.optionalString(schema.name, `${path}.name`),
    description: input.optionalString(schema.description, `${path}.description`),
    schema: input.optionalObject(schema.schema, `${path}.schema`) ?? {},
    strict: input.optionalBoolean(schema.strict, `${path}.strict`),
  };
}

/** Where both are given the larger counts: which one a server obeys is not known, and a bound must be a bound. */
function parseMaxTokens(body: JsonObject, spelling: JsonObject): number | undefined {
  const old = input.optionalInteger(body.max_tokens, "max_tokens", 0);
  const current = input.optionalInteger(body.max_completion_tokens, "max_completion_tokens", 0);
  if (old === undefined) return current;
  spelling.max_tokens = current === undefined ? "only" : "both";
  return Math.max(old, current ?? 0);
}

function parseStop(value: Json | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return [value];
  return input.list(value, "stop").map((stop, at) => input.string(stop, `stop[${at}]`));
}

/** `reasoning_effort`, or OpenRouter's `reasoning` object. */
function parseReasoning(body: JsonObject, spelling: JsonObject): Reasoning | undefined {
  const effort = input.optionalString(body.reasoning_effort, "reasoning_effort");
  if (!isObject(body.reasoning)) return effort === undefined ? undefined : { effort };
  const object = body.reasoning;
  spelling.reasoning = object;
  const reasoning: Reasoning = {
    effort: effort ?? input.optionalString(object.effort, "reasoning.effort"),
    budgetTokens: input.optionalInteger(object.max_tokens, "reasoning.max_tokens", 0),
  };
  const exclude = input.optionalBoolean(object.exclude, "reasoning.exclude");
  if (exclude !== undefined) reasoning.includeThoughts = !exclude;
  if (object.enabled === false && reasoning.effort === undefined) reasoning.effort = "none";
  return reasoning;
}
