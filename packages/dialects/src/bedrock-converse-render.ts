import { traitsOf } from "./anthropic-messages-models.ts";
import { planThinking } from "./anthropic-messages-thinking.ts";
import { type BlockContext, cachePointOf, NAME, renderBlocks } from "./bedrock-converse-blocks.ts";
import { type Family, familyOf } from "./bedrock-converse-models.ts";
import type { ChatRequest, FunctionTool, JsonObject, MediaPart, Message, Part } from "./core.ts";
import type { Rendered } from "./dialect.ts";
import { describeDropped, isObject, names } from "./shape.ts";

/** Members of Converse's own that clients of any dialect may send: they reach it as they are. */
const OWN = names(
  "guardrailConfig additionalModelRequestFields additionalModelResponseFieldPaths performanceConfig requestMetadata",
  "promptVariables serviceTier",
);

/**
 * Writes a Converse request (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html); model and streaming are
 * in its path. Turns of one role are merged, tool results come first in the turn after their calls, blank text is left out. What a model
 * knows beside Converse (thinking, top_k) goes into `additionalModelRequestFields` in its maker's words.
 */
export function renderConverseRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  const body: JsonObject = {};
  const fields: JsonObject = {};
  for (const [name, value] of Object.entries(request.extra?.fields ?? {})) {
    if (OWN.has(name)) body[name] = value;
    else fields[name] = value;
  }
  describeDropped(NAME, request.extra && { ...request.extra, fields }, "", dropped);
  const family = familyOf(request.model);
  const { system, turns } = renderTurns(request, { family, dropped, documents: new Set() });
  if (system.length > 0) body.system = system;
  body.messages = turns.map(({ role, content }) => ({ role, content }));
  renderTools(request, family, body, dropped);
  renderInference(request, family, body, dropped);
  renderFormat(request, body, dropped);
  for (const [name, value] of [
    ["seed", request.seed],
    ["n", request.n === 1 ? undefined : request.n],
    ["logprobs", request.logprobs === true ? true : undefined],
    ["top_logprobs", request.topLogprobs],
    ["presence_penalty", request.presencePenalty === 0 ? undefined : request.presencePenalty],
    ["frequency_penalty", request.frequencyPenalty === 0 ? undefined : request.frequencyPenalty],
    ["user", request.user],
  ] as const)
    if (value !== undefined) dropped.push(name);
  return { body, dropped };
}

interface Turn {
  readonly role: "user" | "assistant";
  content: JsonObject[];
}

function renderTurns(request: ChatRequest, context: BlockContext): { system: JsonObject[]; turns: Turn[] } {
  const { dropped } = context;
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  for (const [at, message] of request.messages.entries()) {
    const path = `messages[${at}]`;
    describeDropped(NAME, message.extra, path, dropped);
    if (message.name !== undefined) dropped.push(`${path}.name`);
    const content = message.parts.flatMap((part) => renderBlocks(part, path, context));
    // A turn of nothing but what cannot be said keeps its place: turns alternate, and the user's is the first.
    const left = content.length === 0 && message.role === "user" ? message.parts.find(isMedia) : undefined;
    if (left !== undefined) content.push({ text: `[${left.kind}]` });
    if (content.length === 0) continue;
    const last = turns.at(-1);
    if (message.role === "system" || message.role === "developer") {
      if (last !== undefined) dropped.push(`${path}.position`);
      system.push(...content);
      continue;
    }
    const role = roleOf(message);
    if (last?.role !== role) turns.push({ role, content });
    else last.content = role === "user" ? resultsFirst([...last.content, ...content]) : [...last.content, ...content];
  }
  for (const turn of turns) withText(turn);
  trimPrefill(turns);
  // A request of instructions alone: Converse wants somebody to have spoken.
  if (turns.length === 0 && system.length > 0) return { system: [], turns: [{ role: "user", content: system }] };
  return { system, turns };
}

const isMedia = (part: Part): part is MediaPart => part.type === "media";

const roleOf = ({ role }: Message): Turn["role"] => (role === "assistant" ? "assistant" : "user");

const resultsFirst = (content: readonly JsonObject[]): JsonObject[] => [
  ...content.filter((block) => block.toolResult !== undefined),
  ...content.filter((block) => block.toolResult === undefined),
];

/** A document is refused where no text goes with it. */
function withText({ role, content }: Turn): void {
  if (role !== "user" || content.some((block) => block.text !== undefined)) return;
  const document = content.find((block) => isObject(block.document))?.document;
  if (isObject(document) && typeof document.name === "string") content.push({ text: document.name });
}

/** An answer that is begun for the model must not end in white space. */
function trimPrefill(turns: readonly Turn[]): void {
  const last = turns.at(-1);
  const block = last?.role === "assistant" ? last.content.at(-1) : undefined;
  if (typeof block?.text === "string") block.text = block.text.trimEnd();
}

function renderTools(request: ChatRequest, family: Family, body: JsonObject, dropped: string[]): void {
  const tools: JsonObject[] = [];
  const choice = request.toolChoice;
  const used = toolsUsed(request.messages);
  for (const [at, tool] of (request.tools ?? []).entries()) {
    const path = `tools[${at}]`;
    if (tool.type === "provider") {
      const name = typeof tool.value.type === "string" ? tool.value.type : (Object.keys(tool.value)[0] ?? "provider");
      dropped.push(`${path}.${name}`);
      continue;
    }
    const names: string[] = [];
    describeDropped(NAME, tool.extra, path, names);
    const point = family.caches ? cachePointOf(tool.extra) : undefined;
    dropped.push(...names.filter((name) => point === undefined || !name.endsWith(".cache_control")));
    tools.push(specOf(tool), ...(point === undefined ? [] : [point]));
  }
  // Converse has no word for "call none": without tools there are none to call. A conversation that has used some must name them.
  if (choice?.mode === "none" && used.length === 0) return;
  if (tools.length === 0) {
    if (choice !== undefined && choice.mode !== "none") dropped.push("tool_choice");
    for (const name of used) tools.push(specOf({ type: "function", name }));
    if (tools.length > 0) body.toolConfig = { tools };
    return;
  }
  const config: JsonObject = { tools };
  if (choice?.mode === "named") config.toolChoice = { tool: { name: choice.name } };
  else if (choice?.mode === "required") config.toolChoice = { any: {} };
  else if (choice?.mode === "auto") config.toolChoice = { auto: {} };
  else if (choice?.mode === "none") dropped.push("tool_choice");
  if (request.parallelToolCalls === false) dropped.push("parallel_tool_calls");
  body.toolConfig = config;
}

function specOf({ name, description, parameters, strict }: FunctionTool): JsonObject {
  const spec: JsonObject = { name };
  // An empty one is refused.
  if (description !== undefined && description !== "") spec.description = description;
  const schema: JsonObject = parameters ?? { properties: {} };
  spec.inputSchema = { json: schema.type === "object" ? schema : { ...schema, type: "object" } };
  if (strict === true) spec.strict = true;
  return { toolSpec: spec };
}

/** Names of the tools that were called in a conversation. */
function toolsUsed(messages: readonly Message[]): string[] {
  const used = new Set<string>();
  for (const { parts } of messages)
    for (const part of parts) {
      if (part.type === "tool-call") used.add(part.name);
      else if (part.type === "tool-result" && part.name !== undefined) used.add(part.name);
    }
  return [...used];
}

/** The cap, sampling and thinking. */
function renderInference(request: ChatRequest, family: Family, body: JsonObject, dropped: string[]): void {
  const inference: JsonObject = {};
  const given = body.additionalModelRequestFields;
  const more: JsonObject = isObject(given) ? { ...given } : {};
  const stop = request.stop?.filter((sequence) => sequence !== "");
  if (stop !== undefined && stop.length > 0) inference.stopSequences = stop;
  if (family.name === "claude") renderClaude(request, inference, more, dropped);
  else {
    if (request.maxOutputTokens !== undefined) inference.maxTokens = request.maxOutputTokens;
    if (request.temperature !== undefined) inference.temperature = request.temperature;
    if (request.topP !== undefined) inference.topP = request.topP;
    renderTopK(request.topK, family, more, dropped);
    renderReasoning(request, family, more, dropped);
  }
  if (Object.keys(inference).length > 0) body.inferenceConfig = inference;
  if (Object.keys(more).length > 0) body.additionalModelRequestFields = more;
}

function renderTopK(topK: number | undefined, family: Family, more: JsonObject, dropped: string[]): void {
  if (topK === undefined) return;
  if (family.name === "nova") more.inferenceConfig = { topK };
  else dropped.push("top_k");
}

/** In Anthropic's own words, as far as the model takes them. */
function renderClaude(request: ChatRequest, inference: JsonObject, more: JsonObject, dropped: string[]): void {
  const own = request.extra?.dialect === "anthropic-messages";
  const plan = planThinking(request, dropped);
  if (request.maxOutputTokens !== undefined || plan.thinking !== undefined) inference.maxTokens = plan.maxTokens;
  if (plan.thinking !== undefined) more.thinking = plan.thinking;
  if (plan.effort !== undefined) more.output_config = { effort: plan.effort };
  const { temperature, topP, topK } = request;
  const known = own || traitsOf(request.model).sampling;
  const thinks = plan.thinking !== undefined && !own;
  if (temperature !== undefined) {
    const fitting = own ? temperature : Math.min(temperature, 1);
    if (fitting !== temperature || !known || (thinks && fitting !== 1)) dropped.push("temperature");
    if (known && (!thinks || fitting === 1)) inference.temperature = fitting;
  }
  if (topP !== undefined) {
    // Models since 4.1 take one of the two; a top_p of 1 says nothing.
    const both = !own && temperature !== undefined;
    if (known && !both && (!thinks || topP >= 0.95)) inference.topP = topP;
    else if (!both || topP !== 1) dropped.push("top_p");
  }
  if (topK !== undefined) {
    if (known && !thinks) more.top_k = topK;
    else dropped.push("top_k");
  }
}

function renderReasoning({ reasoning }: ChatRequest, family: Family, more: JsonObject, dropped: string[]): void {
  if (reasoning === undefined || reasoning.effort === "none" || reasoning.budgetTokens === 0) return;
  const { effort, budgetTokens } = reasoning;
  const level = effort === "minimal" ? "low" : effort === "xhigh" || effort === "max" ? "high" : effort;
  const wanted = level ?? (budgetTokens === undefined ? undefined : budgetTokens <= 8192 ? "low" : "medium");
  if (family.name === "nova")
    more.reasoningConfig = { type: "enabled", ...(wanted === undefined ? {} : { maxReasoningEffort: wanted }) };
  else if (family.name === "gpt-oss" && wanted !== undefined) more.reasoning_effort = wanted;
  else dropped.push("reasoning");
}

function renderFormat({ responseFormat: format }: ChatRequest, body: JsonObject, dropped: string[]): void {
  if (format?.type === "json") dropped.push("response_format");
  if (format?.type !== "schema") return;
  const schema: JsonObject = { schema: JSON.stringify(format.schema), name: format.name ?? "answer" };
  if (format.description !== undefined) schema.description = format.description;
  body.outputConfig = { textFormat: { type: "json_schema", structure: { jsonSchema: schema } } };
}
