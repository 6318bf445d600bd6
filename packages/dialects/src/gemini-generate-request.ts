import { ConversationCallIds } from "./gemini-generate-call-ids.ts";
import { parseConfig } from "./gemini-generate-config.ts";
import { camel, keepFields, listOf, NAME, parseParts } from "./gemini-generate-parts.ts";
import { jsonSchemaOf } from "./gemini-generate-schema.ts";
import type { ChatRequest, FunctionTool, Json, JsonObject, Message, Part, Tool, ToolChoice } from "./core.ts";
import { extraOf, input, isObject, names } from "./shape.ts";

const KNOWN = names("model stream contents systemInstruction tools toolConfig generationConfig");
const FUNCTION_KNOWN = names("name description parameters parametersJsonSchema");

/**
 * Reads a generateContent request (https://ai.google.dev/api/generate-content). The model is in Google's URL, and so is whether it is
 * streamed: the caller adds them as members `model` and `stream`. Function responses become messages of their own, one for each.
 * @throws WeirError invalid_request
 */
export function parseGenerateRequest(value: JsonObject): ChatRequest {
  const body = camel(value);
  const contents = listOf(body.contents);
  if (contents.length === 0) throw input.fail("contents", "at least one content");
  const ids = new ConversationCallIds();
  const messages = contents.flatMap((content, at) => parseContent(content, `contents[${at}]`, ids));
  const system = parseSystem(body.systemInstruction, ids);
  if (system !== undefined) messages.unshift(system);
  const fields = new Map(Object.entries(keepFields(body, KNOWN) ?? {}));
  const config = parseConfig(input.optionalObject(body.generationConfig, "generationConfig") ?? {});
  if (config.rest !== undefined) fields.set("generationConfig", config.rest);
  const tools = listOf(body.tools).flatMap((tool, at) => parseTool(tool, `tools[${at}]`));
  return {
    ...config.request,
    model: input.string(body.model, "model"),
    messages,
    tools: tools.length === 0 ? undefined : tools,
    toolChoice: parseToolConfig(input.optionalObject(body.toolConfig, "toolConfig"), fields),
    stream: input.optionalBoolean(body.stream, "stream") ?? false,
    // Always there: it says that the request is of this dialect, whose words are then kept.
    extra: extraOf(
      NAME,
      Object.fromEntries(fields),
      Object.keys(config.spelling).length === 0 ? undefined : config.spelling,
    ),
  };
}

function parseSystem(value: Json | undefined, ids: ConversationCallIds): Message | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return { role: "system", parts: [{ type: "text", text: value }] };
  const content = camel(input.object(value, "systemInstruction"));
  const parts = parseParts(input, content.parts, "systemInstruction.parts", ids);
  return parts.length === 0 ? undefined : { role: "system", parts };
}

function parseContent(value: Json, path: string, ids: ConversationCallIds): Message[] {
  const content = camel(input.object(value, path));
  const role = input.optionalString(content.role, `${path}.role`) ?? "user";
  if (role !== "user" && role !== "model" && role !== "function") throw input.fail(`${path}.role`, "user or model");
  const parts = parseParts(input, content.parts, `${path}.parts`, ids);
  const messages: Message[] = role === "model" ? [{ role: "assistant", parts }] : apart(parts);
  const [first] = messages;
  const fields = keepFields(content, new Set(["role", "parts"]));
  if (first !== undefined && fields !== undefined) first.extra = extraOf(NAME, fields);
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

function parseTool(value: Json, path: string): Tool[] {
  const tool = camel(input.object(value, path));
  const functions = listOf(tool.functionDeclarations).map(
    (one, at): Tool => parseFunction(one, `${path}.functionDeclarations[${at}]`),
  );
  const rest = keepFields(tool, new Set(["functionDeclarations"]));
  return rest === undefined ? functions : [...functions, { type: "provider", dialect: NAME, value: rest }];
}

function parseFunction(value: Json, path: string): FunctionTool {
  const called = camel(input.object(value, path));
  const schema = input.optionalObject(called.parametersJsonSchema, `${path}.parametersJsonSchema`);
  const older = input.optionalObject(called.parameters, `${path}.parameters`);
  return {
    type: "function",
    name: input.string(called.name, `${path}.name`),
    description: input.optionalString(called.description, `${path}.description`),
    parameters: schema ?? (older && jsonSchemaOf(older)),
    extra: extraOf(
      NAME,
      keepFields(called, FUNCTION_KNOWN),
      schema === undefined && older !== undefined ? { parameters: older } : undefined,
    ),
  };
}

/** What the core does not carry of it (several allowed names, VALIDATED, retrieval) stays in `fields.toolConfig`. */
function parseToolConfig(value: JsonObject | undefined, fields: Map<string, Json>): ToolChoice | undefined {
  if (value === undefined) return undefined;
  const config = camel(value);
  const calling = camel(input.optionalObject(config.functionCallingConfig, "toolConfig.functionCallingConfig") ?? {});
  const mode = input.optionalString(calling.mode, "toolConfig.functionCallingConfig.mode")?.toUpperCase();
  const names = listOf(calling.allowedFunctionNames);
  const [only] = names;
  const choice = choiceOf(mode, names.length === 1 && typeof only === "string" ? only : undefined);
  const whole = names.length <= (choice?.mode === "named" ? 1 : 0) && mode !== "VALIDATED" && choice !== undefined;
  const rest = keepFields(config, new Set(["functionCallingConfig"])) ?? {};
  const others = keepFields(calling, whole ? new Set(["mode", "allowedFunctionNames"]) : new Set());
  if (isObject(others)) rest.functionCallingConfig = others;
  if (Object.keys(rest).length > 0) fields.set("toolConfig", rest);
  return choice;
}

function choiceOf(mode: string | undefined, only: string | undefined): ToolChoice | undefined {
  switch (mode ?? "") {
    case "AUTO":
    case "VALIDATED":
      return { mode: "auto" };
    case "NONE":
      return { mode: "none" };
    case "ANY":
      return only === undefined ? { mode: "required" } : { mode: "named", name: only };
    default:
      return undefined;
  }
}
