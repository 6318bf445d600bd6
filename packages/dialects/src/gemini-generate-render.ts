import { renderConfig, withoutDialect } from "./gemini-generate-config.ts";
import { traitsOf } from "./gemini-generate-models.ts";
import { NAME, renderPart, renderResult } from "./gemini-generate-parts.ts";
import type { ChatRequest, JsonObject, Message, Tool, ToolChoice } from "./core.ts";
import type { Rendered } from "./dialect.ts";
import { describeDropped, fieldsFor, isObject, spellingFor } from "./shape.ts";

/** Google's word for a call that a Gemini model did not make: https://ai.google.dev/gemini-api/docs/thought-signatures. */
const FOREIGN_CALL = "skip_thought_signature_validator";

interface Turn {
  readonly kind: "user" | "tool" | "model";
  readonly parts: JsonObject[];
  fields: JsonObject;
}

/**
 * Writes a generateContent request; the model and whether to stream belong into the URL. Turns of one role are merged, function results
 * stay in a turn of their own. Gemini has one place for instructions: later ones join the first, and their position is named as dropped.
 */
export function renderGenerateRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  describeDropped(NAME, request.extra, "", dropped);
  const { generationConfig: _, toolConfig: ownToolConfig, ...fields } = fieldsFor(NAME, request.extra) ?? {};
  const { system, turns } = renderTurns(request, dropped);
  const body: JsonObject = {
    ...fields,
    contents: turns.map((turn) => ({
      ...turn.fields,
      role: turn.kind === "model" ? "model" : "user",
      parts: turn.parts,
    })),
  };
  if (system.length > 0) body.systemInstruction = { parts: system };
  const tools = renderTools(request.tools ?? [], dropped);
  if (tools.length > 0) body.tools = tools;
  const toolConfig = renderToolConfig(request, isObject(ownToolConfig) ? ownToolConfig : {});
  if (Object.keys(toolConfig).length > 0) {
    if (tools.length > 0 || request.extra?.dialect === NAME) body.toolConfig = toolConfig;
    else if (request.toolChoice?.mode !== "none") dropped.push("tool_choice");
  }
  const config = renderConfig(request, dropped);
  if (Object.keys(config).length > 0) body.generationConfig = config;
  if (request.parallelToolCalls === false) dropped.push("parallel_tool_calls");
  if (request.user !== undefined) dropped.push("user");
  return { body, dropped };
}

function renderTurns(request: ChatRequest, dropped: string[]): { system: JsonObject[]; turns: Turn[] } {
  const traits = traitsOf(request.model);
  const names = new Map<string, string>();
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  for (const [at, message] of request.messages.entries()) {
    const path = `messages[${at}]`;
    describeDropped(NAME, message.extra, path, dropped);
    if (message.name !== undefined) dropped.push(`${path}.name`);
    for (const part of message.parts) if (part.type === "tool-call") names.set(part.id, part.name);
    const results = message.parts.flatMap((part) =>
      part.type === "tool-result"
        ? renderResult(part, part.name ?? names.get(part.id) ?? part.id, traits.mediaResults, path, dropped)
        : [],
    );
    const parts = partsOf(message, path, dropped);
    if (message.role === "system" || message.role === "developer") {
      if (turns.length > 0 && parts.length > 0) dropped.push(`${path}.position`);
      system.push(...parts);
      continue;
    }
    if (message.role === "assistant" && traits.signatures) sign(parts);
    const fields = fieldsFor(NAME, message.extra) ?? {};
    addTurn(turns, "tool", results, fields);
    addTurn(turns, message.role === "assistant" ? "model" : "user", parts, fields);
  }
  // A request of instructions alone: OpenAI answers it, Google wants somebody to have spoken.
  if (turns.length === 0 && system.length > 0)
    return { system: [], turns: [{ kind: "user", parts: system, fields: {} }] };
  return { system, turns };
}

function partsOf(message: Message, path: string, dropped: string[]): JsonObject[] {
  const parts: JsonObject[] = [];
  for (const part of message.parts) {
    const json = part.type === "tool-result" ? undefined : renderPart(part, path, dropped);
    if (json !== undefined) parts.push(json);
  }
  return parts;
}

function addTurn(turns: Turn[], kind: Turn["kind"], parts: readonly JsonObject[], fields: JsonObject): void {
  if (parts.length === 0) return;
  const last = turns.at(-1);
  if (last?.kind !== kind) turns.push({ kind, parts: [...parts], fields });
  else {
    last.parts.push(...parts);
    last.fields = { ...last.fields, ...fields };
  }
}

/** Gemini signs the first call of a turn: where that has no signature, no Gemini model made it. */
function sign(parts: readonly JsonObject[]): void {
  const first = parts.find((part) => part.functionCall !== undefined);
  if (first !== undefined && first.thoughtSignature === undefined) first.thoughtSignature = FOREIGN_CALL;
}

function renderTools(tools: readonly Tool[], dropped: string[]): JsonObject[] {
  const functions: JsonObject[] = [];
  const rendered: JsonObject[] = [];
  for (const [at, tool] of tools.entries()) {
    const path = `tools[${at}]`;
    if (tool.type === "provider") {
      const name = typeof tool.value.type === "string" ? tool.value.type : (Object.keys(tool.value)[0] ?? "provider");
      if (tool.dialect === NAME) rendered.push(tool.value);
      else dropped.push(`${path}.${name}`);
      continue;
    }
    describeDropped(NAME, tool.extra, path, dropped);
    if (tool.strict === true) dropped.push(`${path}.strict`);
    const json: JsonObject = { ...fieldsFor(NAME, tool.extra), name: tool.name };
    if (tool.description !== undefined) json.description = tool.description;
    const older = spellingFor(NAME, tool.extra)?.parameters;
    if (isObject(older)) json.parameters = older;
    else if (tool.parameters !== undefined) json.parametersJsonSchema = withoutDialect(tool.parameters);
    functions.push(json);
  }
  return functions.length === 0 ? rendered : [{ functionDeclarations: functions }, ...rendered];
}

const MODES = { auto: "AUTO", none: "NONE", required: "ANY", named: "ANY" } as const;

function renderToolConfig(request: ChatRequest, own: JsonObject): JsonObject {
  const choice: ToolChoice | undefined = request.toolChoice;
  if (choice === undefined) return own;
  const kept = isObject(own.functionCallingConfig) ? own.functionCallingConfig : {};
  const calling: JsonObject = { mode: MODES[choice.mode], ...kept };
  if (choice.mode === "named") calling.allowedFunctionNames = [choice.name];
  return { ...own, functionCallingConfig: calling };
}
