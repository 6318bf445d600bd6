import type { ChatRequest, Json, JsonObject } from "./core.ts";
import type { ProviderDialect, Rendered } from "./dialect.ts";
import { renderChatRequest } from "./openai-chat-render.ts";
import { inspectChatResponse, parseChatResponse } from "./openai-chat-response.ts";
import { ChatStreamParser } from "./openai-chat-stream.ts";
import { parseOpenAiError } from "./openai-errors.ts";
import { isObject, names } from "./shape.ts";
import { toolCallId } from "./tool-call-id.ts";

/**
 * Mistral's chat (https://docs.mistral.ai/api/): OpenAI's but for names of its own, thinking as a part of the content, ids of calls of nine
 * letters and digits, and that it refuses (422) every member that it does not know. Its answers are read as OpenAI's, whose reader knows
 * content in parts.
 */
export const mistralChat: ProviderDialect = {
  name: "mistral-chat",
  renderRequest,
  parseResponse: (body) => parseChatResponse(body),
  inspectResponse: inspectChatResponse,
  streamParser: () => new ChatStreamParser(),
  parseError: parseOpenAiError,
};

/** Of OpenAI's; what else a client sends may be Mistral's own (safe_prompt, prompt_mode, document_page_limit) and goes there. */
const REFUSED = names(
  "user logprobs top_logprobs logit_bias store service_tier modalities audio verbosity safety_identifier",
  "prompt_cache_retention web_search_options moderation",
);
/** OpenAI's, and without a meaning elsewhere: leaving them out loses nothing. */
const UNSAID = names("stream_options");

function renderRequest(request: ChatRequest): Rendered<JsonObject> {
  const { body: from, dropped } = renderChatRequest(request);
  const body: JsonObject = {};
  for (const [name, value] of Object.entries(from)) {
    if (value === null || UNSAID.has(name)) continue;
    if (REFUSED.has(name)) {
      if (value !== false) dropped.push(name);
      continue;
    }
    switch (name) {
      case "max_completion_tokens":
        body.max_tokens = value;
        break;
      case "seed":
        body.random_seed = value;
        break;
      case "tool_choice":
        body.tool_choice = value === "required" ? "any" : value;
        break;
      case "messages":
        body.messages = (value as JsonObject[]).map((message, at) =>
          renderMessage(message, `messages[${at}]`, dropped),
        );
        break;
      case "reasoning_effort": {
        const effort = effortOf(request.model, value);
        if (effort === undefined) dropped.push("reasoning");
        else if (effort !== "") body.reasoning_effort = effort;
        break;
      }
      default:
        body[name] = value;
    }
  }
  return { body, dropped };
}

/**
 * @returns "" for models that think by themselves (Magistral), undefined for those that cannot be told (before 2603)
 */
function effortOf(model: string, effort: Json): string | undefined {
  if (model.startsWith("magistral")) return "";
  const version = /^mistral-(?:small|medium|large)-(?:latest|(\d{4}))/.exec(model);
  if (version === null || Number(version[1] ?? "9999") < 2603) return undefined;
  return effort === "none" || effort === "minimal" ? "none" : "high";
}

/** Clients keep notes of their own in what they send back (`parsed`, `audio`, `annotations`): no others than these reach Mistral. */
function renderMessage(message: JsonObject, path: string, dropped: string[]): JsonObject {
  const { role: given, content, name, prefix, tool_calls: calls, tool_call_id: id, refusal, ...others } = message;
  const { reasoning_content: thoughtHere, reasoning, ...strange } = others;
  for (const [key, value] of Object.entries(strange)) if (value !== null) dropped.push(`${path}.${key}`);
  const role = given === "developer" ? "system" : given === "function" ? "tool" : (given ?? "user");
  const rendered: JsonObject = { role };
  if (typeof id === "string") rendered.tool_call_id = callId(id);
  if (prefix !== undefined) rendered.prefix = prefix;
  if (name !== undefined && name !== null) {
    if (role === "tool") rendered.name = name;
    else dropped.push(`${path}.name`);
  }
  if (Array.isArray(calls)) rendered.tool_calls = calls.filter(isObject).map(renderCall);
  const said = typeof refusal === "string" && refusal !== "" ? refusal : undefined;
  if (role === "assistant" && said !== undefined && (content === null || content === "")) rendered.content = said;
  else if (content !== undefined) rendered.content = Array.isArray(content) ? content.map(renderPart) : content;
  const thought = [thoughtHere, reasoning].find((text) => typeof text === "string" && text !== "");
  if (role === "assistant" && typeof thought === "string") {
    const text = rendered.content;
    const parts = Array.isArray(text) ? text : typeof text === "string" && text !== "" ? [{ type: "text", text }] : [];
    rendered.content = [{ type: "thinking", thinking: [{ type: "text", text: thought }] }, ...parts];
  }
  return rendered;
}

function renderCall({ id, function: called }: JsonObject): JsonObject {
  const { name = "", arguments: given = "{}" } = isObject(called) ? called : {};
  return {
    id: callId(typeof id === "string" ? id : ""),
    type: "function",
    function: { name, arguments: given === "" ? "{}" : given },
  };
}

/** Files are documents by address (a `data:` one, too), sound is bare base64. */
function renderPart(part: Json): Json {
  if (!isObject(part)) return part;
  if (part.type === "file" && isObject(part.file)) {
    const { file_data: data, file_id: id, filename: name } = part.file;
    if (typeof data === "string")
      return { type: "document_url", document_url: data, ...(typeof name === "string" ? { document_name: name } : {}) };
    if (typeof id === "string") return { type: "file", file_id: id };
  }
  if (part.type === "input_audio" && isObject(part.input_audio) && part.input_audio.data !== undefined)
    return { type: "input_audio", input_audio: part.input_audio.data };
  return part;
}

/** Nine letters and digits; the same id becomes the same one everywhere. */
function callId(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id;
  const number = BigInt(`0x${toolCallId(id, 0, 0).slice("call_".length)}`);
  return number.toString(36).padStart(9, "0").slice(-9);
}
