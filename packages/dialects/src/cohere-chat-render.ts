import type { ChatRequest, JsonObject, Message, Part, Tool } from "./core.ts";
import type { Rendered } from "./dialect.ts";
import { urlOfSource } from "./openai-media.ts";
import { describeDropped, names } from "./shape.ts";

export const NAME = "cohere-chat";

/** Members of Cohere's own that clients of any dialect may send: they reach it as they are. */
const OWN = names("documents citation_options safety_mode strict_tools thinking priority");

/** Writes a request of Cohere's second chat (https://docs.cohere.com/reference/chat). */
export function renderCohereRequest(request: ChatRequest): Rendered<JsonObject> {
  const dropped: string[] = [];
  const own: JsonObject = {};
  const others: JsonObject = {};
  for (const [name, value] of Object.entries(request.extra?.fields ?? {})) (OWN.has(name) ? own : others)[name] = value;
  describeDropped(NAME, request.extra && { ...request.extra, fields: others }, "", dropped);
  const body: JsonObject = {
    ...own,
    model: request.model,
    messages: request.messages.flatMap((message, at) => renderMessage(message, `messages[${at}]`, dropped)),
  };
  const set = (name: string, value: JsonObject[string] | undefined): void => {
    if (value !== undefined) body[name] = value;
  };
  renderTools(request, body, dropped);
  if (request.responseFormat?.type === "json") body.response_format = { type: "json_object" };
  if (request.responseFormat?.type === "schema")
    body.response_format = { type: "json_object", json_schema: request.responseFormat.schema };
  set("max_tokens", request.maxOutputTokens);
  set("temperature", request.temperature);
  set("p", request.topP);
  set("k", request.topK);
  set("stop_sequences", request.stop);
  set("seed", request.seed);
  set("frequency_penalty", request.frequencyPenalty);
  set("presence_penalty", request.presencePenalty);
  if (body.thinking === undefined) renderThinking(request, body, dropped);
  for (const [name, value] of [
    ["n", request.n === 1 ? undefined : request.n],
    // Whole tokens only, and another count of them.
    ["logprobs", request.logprobs === true ? true : undefined],
    ["top_logprobs", request.topLogprobs],
    ["user", request.user],
    ["parallel_tool_calls", request.parallelToolCalls === false ? false : undefined],
  ] as const)
    if (value !== undefined) dropped.push(name);
  if (request.stream) body.stream = true;
  return { body, dropped };
}

/** Thinking by a budget; of models that do not think only those that are asked to refuse. */
function renderThinking({ model, reasoning }: ChatRequest, body: JsonObject, dropped: string[]): void {
  if (reasoning === undefined) return;
  if (!model.includes("reasoning")) {
    if (reasoning.effort !== "none") dropped.push("reasoning");
    return;
  }
  if (reasoning.effort === "none" || reasoning.budgetTokens === 0) body.thinking = { type: "disabled" };
  else if (reasoning.budgetTokens !== undefined)
    body.thinking = { type: "enabled", token_budget: reasoning.budgetTokens };
  else if (reasoning.effort !== undefined) dropped.push("reasoning.effort");
}

function renderTools(request: ChatRequest, body: JsonObject, dropped: string[]): void {
  const tools: JsonObject[] = [];
  for (const [at, tool] of (request.tools ?? []).entries()) {
    const json = renderTool(tool, `tools[${at}]`, dropped);
    if (json !== undefined) tools.push(json);
  }
  const choice = request.toolChoice;
  if (choice?.mode === "named") {
    // It can be forced to call, not what to call: so it gets no other tool.
    body.tools = tools.filter(({ function: called }) => (called as JsonObject).name === choice.name);
    body.tool_choice = "REQUIRED";
    return;
  }
  if (tools.length === 0) {
    if (choice?.mode === "required") dropped.push("tool_choice");
    return;
  }
  body.tools = tools;
  if (choice?.mode === "required") body.tool_choice = "REQUIRED";
  if (choice?.mode === "none") body.tool_choice = "NONE";
}

function renderTool(tool: Tool, path: string, dropped: string[]): JsonObject | undefined {
  if (tool.type === "provider") {
    const name = typeof tool.value.type === "string" ? tool.value.type : "provider";
    dropped.push(`${path}.${name}`);
    return undefined;
  }
  describeDropped(NAME, tool.extra, path, dropped);
  const called: JsonObject = { name: tool.name };
  if (tool.description !== undefined) called.description = tool.description;
  called.parameters = tool.parameters ?? { type: "object", properties: {} };
  return { type: "function", function: called };
}

function renderMessage(message: Message, path: string, dropped: string[]): JsonObject[] {
  describeDropped(NAME, message.extra, path, dropped);
  if (message.name !== undefined) dropped.push(`${path}.name`);
  const results: JsonObject[] = [];
  const others: Part[] = [];
  for (const part of message.parts) {
    if (part.type !== "tool-result") {
      others.push(part);
      continue;
    }
    describeDropped(NAME, part.extra, path, dropped);
    if (part.isError === true) dropped.push(`${path}.is_error`);
    const texts = part.parts.filter((inner) => inner.type === "text" || inner.type === "refusal");
    if (texts.length < part.parts.length) dropped.push(`${path}.media`);
    results.push({ role: "tool", tool_call_id: part.id, content: texts.map(({ text }) => text).join("\n") });
  }
  if (message.role === "assistant") return [renderAssistant(others, path, dropped)];
  const content = renderContent(others, path, dropped);
  if (content === undefined) return results;
  const role = message.role === "developer" ? "system" : message.role === "tool" ? "user" : message.role;
  return [...results, { role, content }];
}

function renderAssistant(parts: readonly Part[], path: string, dropped: string[]): JsonObject {
  const calls = parts.filter((part) => part.type === "tool-call");
  const thoughts = parts.filter((part) => part.type === "thinking");
  const message: JsonObject = { role: "assistant" };
  const content = renderContent(
    parts.filter((part) => part.type !== "tool-call" && part.type !== "thinking"),
    path,
    dropped,
  );
  if (content !== undefined) message.content = content;
  // What it thought before it called is its plan; other thoughts it does not want back.
  const plan = thoughts.map(({ text }) => text).join("");
  if (calls.length > 0 && plan !== "") message.tool_plan = plan;
  else if (thoughts.length > 0) dropped.push(`${path}.thinking`);
  if (calls.length > 0)
    message.tool_calls = calls.map(({ id, name, arguments: given, extra }, at) => {
      describeDropped(NAME, extra, `${path}.tool_calls[${at}]`, dropped);
      return { id, type: "function", function: { name, arguments: given === "" ? "{}" : given } };
    });
  // One of the two must be there.
  if (message.content === undefined && calls.length === 0) message.content = "";
  return message;
}

function renderContent(parts: readonly Part[], path: string, dropped: string[]): string | JsonObject[] | undefined {
  const rendered: JsonObject[] = [];
  for (const [at, part] of parts.entries()) {
    const place = `${path}.content[${at}]`;
    if ("extra" in part) describeDropped(NAME, part.extra, place, dropped);
    if (part.type === "text" || part.type === "refusal") {
      if (part.text !== "") rendered.push({ type: "text", text: part.text });
    } else if (part.type === "media") {
      const url = part.kind === "image" ? urlOfSource(part, "image/png") : undefined;
      if (url === undefined) dropped.push(`${place}.${part.kind}`);
      else rendered.push({ type: "image_url", image_url: { url, ...(part.detail && { detail: part.detail }) } });
    } else if (part.type === "unknown")
      dropped.push(`${place}.${typeof part.value.type === "string" ? part.value.type : "unknown"}`);
  }
  const [only] = rendered;
  if (only === undefined) return undefined;
  return rendered.length === 1 && typeof only.text === "string" ? only.text : rendered;
}
