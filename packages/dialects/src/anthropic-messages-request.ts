import type {
  ChatRequest,
  FunctionTool,
  Json,
  JsonObject,
  Message,
  Part,
  ProviderTool,
  Reasoning,
  ResponseFormat,
  ToolChoice,
} from "./core.ts";
import { keepFields, NAME, parseContent } from "./anthropic-messages-blocks.ts";
import { extraOf, input, isObject, names, unknownFields } from "./shape.ts";

const KNOWN = names(
  "model messages max_tokens system tools tool_choice temperature top_p top_k stop_sequences stream",
  "metadata thinking output_config output_format",
);
const MESSAGE_KNOWN = names("role content");
const TOOL_KNOWN = names("type name description input_schema strict");

/**
 * Reads a Messages request (https://platform.claude.com/docs/en/api/messages). Tool results, which Anthropic puts into the user's turn,
 * become messages of their own, one for each.
 * @throws WeirError invalid_request
 */
export function parseMessagesRequest(body: JsonObject): ChatRequest {
  const list = input.list(body.messages, "messages");
  if (list.length === 0) throw input.fail("messages", "at least one message");
  const fields = new Map(Object.entries(unknownFields(body, KNOWN) ?? {}));
  const spelling: JsonObject = {};
  const system = parseContent(input, body.system, "system");
  const messages = list.flatMap((message, at) => parseMessage(message, `messages[${at}]`));
  if (system.length > 0) messages.unshift({ role: "system", parts: system });
  const metadata = input.optionalObject(body.metadata, "metadata");
  const otherMetadata = metadata && unknownFields(metadata, new Set(["user_id"]));
  if (otherMetadata !== undefined) fields.set("metadata", otherMetadata);
  const choice = input.optionalObject(body.tool_choice, "tool_choice");
  const disabled = input.optionalBoolean(choice?.disable_parallel_tool_use, "tool_choice.disable_parallel_tool_use");
  return {
    model: input.string(body.model, "model"),
    messages,
    tools: input.optionalList(body.tools, "tools")?.map((tool, at) => parseTool(tool, `tools[${at}]`)),
    toolChoice: choice && parseToolChoice(choice),
    parallelToolCalls: disabled === undefined ? undefined : !disabled,
    responseFormat: parseFormat(body, fields, spelling),
    maxOutputTokens: input.optionalInteger(body.max_tokens, "max_tokens", 0),
    temperature: input.optionalNumber(body.temperature, "temperature"),
    topP: input.optionalNumber(body.top_p, "top_p"),
    topK: input.optionalInteger(body.top_k, "top_k"),
    stop: input
      .optionalList(body.stop_sequences, "stop_sequences")
      ?.map((stop, at) => input.string(stop, `stop_sequences[${at}]`)),
    reasoning: parseThinking(body, spelling),
    user: input.optionalString(metadata?.user_id, "metadata.user_id"),
    stream: input.optionalBoolean(body.stream, "stream") ?? false,
    // Always there: it says that the request is of this dialect, whose words are then kept.
    extra: extraOf(NAME, Object.fromEntries(fields), Object.keys(spelling).length === 0 ? undefined : spelling),
  };
}

function parseMessage(value: Json, path: string): Message[] {
  const message = input.object(value, path);
  const role = input.string(message.role, `${path}.role`);
  if (role !== "user" && role !== "assistant" && role !== "system")
    throw input.fail(`${path}.role`, "user, assistant or system");
  const parts = parseContent(input, message.content, `${path}.content`);
  const messages: Message[] = role === "user" ? apart(parts) : [{ role, parts }];
  const [first] = messages;
  if (first !== undefined) first.extra = keepFields(message, MESSAGE_KNOWN);
  return messages;
}

function apart(parts: readonly Part[]): Message[] {
  const messages: Message[] = [];
  for (const part of parts) {
    const last = messages.at(-1);
    if (part.type === "tool-result") messages.push({ role: "tool", parts: [part] });
    else if (last?.role === "user") last.parts.push(part);
    else messages.push({ role: "user", parts: [part] });
  }
  return messages.length === 0 ? [{ role: "user", parts: [] }] : messages;
}

function parseTool(value: Json, path: string): FunctionTool | ProviderTool {
  const tool = input.object(value, path);
  const type = input.optionalString(tool.type, `${path}.type`);
  if (type !== undefined && type !== "custom") return { type: "provider", dialect: NAME, value: tool };
  return {
    type: "function",
    name: input.string(tool.name, `${path}.name`),
    description: input.optionalString(tool.description, `${path}.description`),
    parameters: input.optionalObject(tool.input_schema, `${path}.input_schema`),
    strict: input.optionalBoolean(tool.strict, `${path}.strict`),
    extra: keepFields(tool, TOOL_KNOWN),
  };
}

function parseToolChoice(choice: JsonObject): ToolChoice {
  switch (input.optionalString(choice.type, "tool_choice.type") ?? "") {
    case "auto":
    case "none":
      return { mode: choice.type === "none" ? "none" : "auto" };
    case "any":
      return { mode: "required" };
    case "tool":
      return { mode: "named", name: input.string(choice.name, "tool_choice.name") };
    default:
      throw input.fail("tool_choice.type", "auto, any, tool or none");
  }
}

/** `output_config.format`, or `output_format` as the beta wrote it. */
function parseFormat(body: JsonObject, fields: Map<string, Json>, spelling: JsonObject): ResponseFormat | undefined {
  const config = input.optionalObject(body.output_config, "output_config") ?? {};
  const others = unknownFields(config, new Set(["effort", "format"])) ?? {};
  const older = config.format === undefined || config.format === null;
  const path = older ? "output_format" : "output_config.format";
  const format = input.optionalObject(older ? body.output_format : config.format, path);
  const schema = format?.type === "json_schema";
  if (format !== undefined && older) {
    if (schema) spelling.output_format = true;
    else fields.set("output_format", format);
  } else if (format !== undefined && !schema) others.format = format;
  if (Object.keys(others).length > 0) fields.set("output_config", others);
  return schema ? { type: "schema", schema: input.object(format.schema, `${path}.schema`) } : undefined;
}

/** `thinking` and `output_config.effort`. Adaptive thinking is a Reasoning that says nothing: the model decides. */
function parseThinking(body: JsonObject, spelling: JsonObject): Reasoning | undefined {
  const thinking = input.optionalObject(body.thinking, "thinking");
  const config = isObject(body.output_config) ? body.output_config : {};
  const effort = input.optionalString(config.effort, "output_config.effort");
  if (thinking === undefined && effort === undefined) return undefined;
  const reasoning: Reasoning = {};
  if (effort !== undefined) reasoning.effort = effort;
  if (effort !== undefined) spelling.effort = effort;
  if (thinking === undefined) return reasoning;
  spelling.thinking = thinking;
  const type = input.string(thinking.type, "thinking.type");
  if (type === "disabled") reasoning.effort = "none";
  const budget = input.optionalInteger(thinking.budget_tokens, "thinking.budget_tokens", 0);
  if (budget !== undefined) reasoning.budgetTokens = budget;
  if (thinking.display === "summarized" || thinking.display === "omitted")
    reasoning.includeThoughts = thinking.display === "summarized";
  return reasoning;
}
