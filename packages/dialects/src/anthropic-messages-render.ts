import { fieldsFor, describeDropped, isObject, spellingFor } from "./shape.ts";
import { NAME, renderBlock } from "./anthropic-messages-blocks.ts";
import { traitsOf } from "./anthropic-messages-models.ts";
import { planThinking, type ThinkingPlan } from "./anthropic-messages-thinking.ts";
import type { ChatRequest, JsonObject, Message, Tool } from "./core.ts";
import type { Rendered } from "./dialect.ts";

interface Turn {
  role: "user" | "assistant" | "system";
  content: JsonObject[];
  fields: JsonObject;
}

/**
 * Writes a Messages request. `max_tokens`, which Anthropic wants, is the request's cap or 4096 (and a thinking budget on top). Turns of
 * one role are merged, tool results come first in the turn after their calls, blank text is left out, and what the model would refuse
 * (temperature over 1, sampling where it is gone, both of temperature and top_p) is named as dropped.
 */
export function renderMessagesRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  describeDropped(NAME, request.extra, "", dropped);
  const fields = fieldsFor(NAME, request.extra) ?? {};
  const { system, turns } = renderTurns(request, dropped);
  const plan = planThinking(request, dropped);
  const body: JsonObject = { ...fields, model: request.model, max_tokens: plan.maxTokens };
  const [only] = system;
  if (only !== undefined)
    body.system =
      system.length === 1 && Object.keys(only).length === 2 && typeof only.text === "string" ? only.text : system;
  body.messages = turns.map((turn) => ({ ...turn.fields, role: turn.role, content: turn.content }));
  renderTools(request, body, dropped);
  renderSampling(request, plan, body, dropped);
  const stop = request.stop?.filter((sequence) => sequence.trim() !== "");
  if (stop !== undefined && stop.length < (request.stop?.length ?? 0)) dropped.push("stop");
  if (stop !== undefined) body.stop_sequences = stop;
  if (plan.thinking !== undefined) body.thinking = plan.thinking;
  renderOutput(request, plan, body, dropped);
  if (request.user !== undefined)
    body.metadata = { ...(isObject(fields.metadata) ? fields.metadata : {}), user_id: request.user };
  if (request.stream) body.stream = true;
  for (const [name, value] of [
    ["seed", request.seed],
    ["n", request.n === 1 ? undefined : request.n],
    ["logprobs", request.logprobs === true ? true : undefined],
    ["top_logprobs", request.topLogprobs],
    ["presence_penalty", request.presencePenalty === 0 ? undefined : request.presencePenalty],
    ["frequency_penalty", request.frequencyPenalty === 0 ? undefined : request.frequencyPenalty],
  ] as const)
    if (value !== undefined) dropped.push(name);
  return { body, dropped };
}

function renderTurns(request: ChatRequest, dropped: string[]): { system: JsonObject[]; turns: Turn[] } {
  const inPlace = traitsOf(request.model).systemMessages;
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  for (const [at, message] of request.messages.entries()) {
    const path = `messages[${at}]`;
    describeDropped(NAME, message.extra, path, dropped);
    if (message.name !== undefined) dropped.push(`${path}.name`);
    const content = blocksOf(message, path, dropped);
    if (content.length === 0) continue;
    const role =
      message.role === "assistant"
        ? "assistant"
        : message.role === "user" || message.role === "tool"
          ? "user"
          : "system";
    const last = turns.at(-1);
    if (role === "system") {
      // Only what follows a user's turn may stand in the conversation; other instructions join the system prompt.
      const stays = inPlace && (last?.role === "user" || last?.role === "system");
      if (!stays) {
        if (last !== undefined) dropped.push(`${path}.position`);
        system.push(...content);
        continue;
      }
    }
    const fields = fieldsFor(NAME, message.extra) ?? {};
    if (last?.role !== role) turns.push({ role, content, fields });
    else {
      last.content = role === "user" ? resultsFirst([...last.content, ...content]) : [...last.content, ...content];
      last.fields = { ...last.fields, ...fields };
    }
  }
  trimPrefill(turns);
  // A request of instructions alone: OpenAI answers it, Anthropic wants somebody to have spoken.
  if (turns.length === 0 && system.length > 0)
    return { system: [], turns: [{ role: "user", content: system, fields: {} }] };
  return { system, turns };
}

function blocksOf(message: Message, path: string, dropped: string[]): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of message.parts) {
    const block = renderBlock(part, path, dropped);
    if (block !== undefined) blocks.push(block);
  }
  return blocks;
}

const resultsFirst = (content: readonly JsonObject[]): JsonObject[] => [
  ...content.filter((block) => block.type === "tool_result"),
  ...content.filter((block) => block.type !== "tool_result"),
];

/** An answer that is begun for the model must not end in white space. */
function trimPrefill(turns: readonly Turn[]): void {
  const last = turns.at(-1);
  const block = last?.role === "assistant" ? last.content.at(-1) : undefined;
  if (block?.type === "text" && typeof block.text === "string") block.text = block.text.trimEnd();
}

function renderTools(request: ChatRequest, body: JsonObject, dropped: string[]): void {
  const tools: JsonObject[] = [];
  for (const [at, tool] of (request.tools ?? []).entries()) {
    const json = renderTool(tool, `tools[${at}]`, dropped);
    if (json !== undefined) tools.push(json);
  }
  if (tools.length > 0) body.tools = tools;
  const choice = request.toolChoice;
  const parallel = request.parallelToolCalls;
  if (tools.length === 0) {
    // A choice among no tools is refused.
    if (choice !== undefined && choice.mode !== "none") dropped.push("tool_choice");
    return;
  }
  const mode = choice?.mode ?? (parallel === undefined ? undefined : "auto");
  if (mode === undefined) return;
  const type = { auto: "auto", none: "none", required: "any", named: "tool" }[mode];
  const rendered: JsonObject = { type };
  if (choice?.mode === "named") rendered.name = choice.name;
  if (parallel !== undefined && mode !== "none") rendered.disable_parallel_tool_use = !parallel;
  body.tool_choice = rendered;
}

function renderTool(tool: Tool, path: string, dropped: string[]): JsonObject | undefined {
  if (tool.type === "provider") {
    if (tool.dialect === NAME) return tool.value;
    const name = typeof tool.value.type === "string" ? tool.value.type : (Object.keys(tool.value)[0] ?? "provider");
    dropped.push(`${path}.${name}`);
    return undefined;
  }
  describeDropped(NAME, tool.extra, path, dropped);
  const json: JsonObject = { ...fieldsFor(NAME, tool.extra), name: tool.name };
  if (tool.description !== undefined) json.description = tool.description;
  json.input_schema = schemaOf(tool.parameters);
  if (tool.strict !== undefined) json.strict = tool.strict;
  return json;
}

/** Anthropic takes schemas of objects only, and wants one. */
function schemaOf(parameters: JsonObject | undefined): JsonObject {
  if (parameters === undefined) return { type: "object", properties: {} };
  return parameters.type === "object" ? parameters : { ...parameters, type: "object" };
}

/** What another dialect asked for, as far as the model takes it. A request of this dialect keeps its own words. */
function renderSampling(request: ChatRequest, plan: ThinkingPlan, body: JsonObject, dropped: string[]): void {
  const { temperature, topP, topK } = request;
  const own = request.extra?.dialect === NAME;
  const known = own || traitsOf(request.model).sampling;
  const thinks = plan.thinking !== undefined && !own;
  const set = (name: string, value: number | undefined, allowed: boolean): void => {
    if (value === undefined) return;
    if (allowed) body[name] = value;
    else dropped.push(name);
  };
  const tooHot = !own && temperature !== undefined && temperature > 1;
  if (tooHot && known) dropped.push("temperature");
  if (tooHot && known && !thinks) body.temperature = 1;
  if (!tooHot || !known) set("temperature", temperature, known && (!thinks || temperature === 1));
  // Models since 4.1 take one of the two; a top_p of 1 says nothing.
  const both = !own && temperature !== undefined && topP !== undefined;
  if (!both || topP !== 1) set("top_p", topP, known && !both && (!thinks || (topP ?? 1) >= 0.95));
  set("top_k", topK, known && !thinks);
}

function renderOutput(request: ChatRequest, plan: ThinkingPlan, body: JsonObject, dropped: string[]): void {
  const format = request.responseFormat;
  const config: JsonObject = { ...(isObject(body.output_config) ? body.output_config : {}) };
  if (plan.effort !== undefined) config.effort = plan.effort;
  if (format?.type === "json") dropped.push("response_format");
  if (format?.type === "schema") {
    if (format.name !== undefined) dropped.push("response_format.name");
    if (format.description !== undefined) dropped.push("response_format.description");
    if (format.strict === false) dropped.push("response_format.strict");
    const rendered = { type: "json_schema", schema: format.schema };
    if (spellingFor(NAME, request.extra)?.output_format === true) body.output_format = rendered;
    else config.format = rendered;
  }
  if (Object.keys(config).length > 0) body.output_config = config;
}
