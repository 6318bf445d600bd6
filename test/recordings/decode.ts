/**
 * Reads what providers and the facade answer, in every dialect, by means as simple as can be. Written from the providers' documents; it
 * knows nothing of Weir's own dialects, so that the two can be compared.
 */
import type { Api } from "./exchange.ts";

export interface Counted {
  readonly input: number;
  readonly output: number;
  readonly cached: number;
  readonly reasoning: number;
}

export interface Decoded {
  readonly text: string;
  readonly refusal: string;
  readonly thinking: string;
  readonly calls: readonly { readonly name: string; readonly args: unknown }[];
  readonly callIds: readonly string[];
  /** stop, length, tool-calls, content-filter, refusal, pause, error; undefined where the answer broke off. */
  readonly finish: string | undefined;
  readonly usage: Counted | undefined;
  /** An error in place of an answer, or at the end of a stream. */
  readonly error: { readonly message: string; readonly code: string } | undefined;
}

type Json = Record<string, unknown>;

const at = (value: unknown, ...path: (string | number)[]): unknown =>
  path.reduce<unknown>((inner, step) => (inner as Json | null | undefined)?.[step], value);
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const word = (value: unknown): string => (typeof value === "number" ? String(value) : text(value));
const count = (value: unknown): number => (typeof value === "number" ? value : 0);
const parsed = (args: string): unknown => {
  try {
    return JSON.parse(args === "" ? "{}" : args) as unknown;
  } catch {
    // Models do write broken JSON: then its text is compared.
    return { unreadable: args };
  }
};

export const isUnreadable = (args: unknown): args is { readonly unreadable: string } =>
  typeof at(args, "unreadable") === "string";

/** The JSON of each event, with its name as `type` where the data has none. */
function eventsOf(stream: string): Json[] {
  return stream
    .replace(/^\uFEFF/, "")
    .split(/\r\n\r\n|\n\n|\r\r/)
    .flatMap((block) => {
      const lines = block.split(/\r\n|\n|\r/);
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      const name = lines
        .find((line) => line.startsWith("event:"))
        ?.slice(6)
        .trim();
      const joined = data.filter((line) => line !== "[DONE]").join("\n");
      if (!/^[{[]/.test(joined)) return [];
      const body = JSON.parse(joined) as Json | Json[];
      const event = Array.isArray(body) ? (body[0] ?? {}) : body;
      return [name === undefined ? event : { type: name, ...event }];
    });
}

const isNothing = (value: unknown): boolean => value === undefined || value === null;

const errorOf = (error: unknown): Decoded["error"] =>
  isNothing(error)
    ? undefined
    : {
        message: text(at(error, "message")) || text(error),
        code: word(at(error, "details", "error_code")) || word(at(error, "code")) || word(at(error, "type")),
      };

const NOTHING: Omit<Decoded, "error"> = {
  text: "",
  refusal: "",
  thinking: "",
  calls: [],
  callIds: [],
  finish: undefined,
  usage: undefined,
};

// -- OpenAI's chat completions, and those compatible with it

const CHAT_FINISH: Readonly<Record<string, string>> = {
  stop: "stop",
  length: "length",
  model_length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter",
  error: "error",
};

const chatUsage = (usage: unknown): Counted | undefined =>
  usage === undefined || usage === null
    ? undefined
    : {
        input: count(at(usage, "prompt_tokens")),
        output: count(at(usage, "completion_tokens")),
        cached: count(at(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning: count(at(usage, "completion_tokens_details", "reasoning_tokens")),
      };

/** `content`: text, or Mistral's list of chunks. */
const chatContent = (content: unknown, type: "text" | "thinking"): string =>
  typeof content === "string"
    ? type === "text"
      ? content
      : ""
    : list(content)
        .filter((chunk) => chunk["type"] === type)
        .map((chunk) => (type === "text" ? text(chunk["text"]) : chatContent(chunk["thinking"], "text")))
        .join("");

function chatMessage(
  messages: readonly unknown[],
): Pick<Decoded, "text" | "refusal" | "thinking" | "calls" | "callIds"> {
  const calls = new Map<string, { id: string; name: string; args: string }>();
  let [said, refusal, thinking] = ["", "", ""];
  for (const message of messages) {
    said += chatContent(at(message, "content"), "text");
    refusal += text(at(message, "refusal"));
    thinking += text(at(message, "reasoning_content")) || text(at(message, "reasoning"));
    thinking += chatContent(at(message, "content"), "thinking");
    for (const [place, call] of list(at(message, "tool_calls")).entries()) {
      const key = word(call["index"]) || text(call["id"]) || String(place);
      const known = calls.get(key) ?? { id: "", name: "", args: "" };
      const args = at(call, "function", "arguments");
      known.id ||= text(call["id"]);
      known.name ||= text(at(call, "function", "name"));
      known.args += typeof args === "object" && args !== null ? JSON.stringify(args) : text(args);
      calls.set(key, known);
    }
    const legacy = at(message, "function_call");
    if (legacy === undefined || legacy === null) continue;
    const known = calls.get("legacy") ?? { id: "legacy", name: "", args: "" };
    known.name ||= text(at(legacy, "name"));
    known.args += text(at(legacy, "arguments"));
    calls.set("legacy", known);
  }
  const all = [...calls.values()];
  return {
    text: said,
    refusal,
    thinking,
    calls: all.map(({ name, args }) => ({ name, args: parsed(args) })),
    callIds: all.map(({ id }) => id),
  };
}

function chatError(body: Json): Decoded["error"] {
  const inChoice = list(body["choices"])
    .map((choice) => choice["error"])
    .find((error) => error !== undefined && error !== null);
  if (body["error"] !== undefined && body["error"] !== null) return errorOf(body["error"]);
  if (inChoice !== undefined) return errorOf(inChoice);
  return body["object"] === "error" || body["choices"] === undefined ? errorOf(body) : undefined;
}

function decodeChat(body: Json): Decoded {
  const error = chatError(body);
  if (error !== undefined) return { ...NOTHING, error };
  const [choice] = list(body["choices"]);
  return {
    ...chatMessage([choice?.["message"]]),
    finish: CHAT_FINISH[text(choice?.["finish_reason"])],
    usage: chatUsage(body["usage"] ?? at(body, "x_groq", "usage")),
    error: undefined,
  };
}

function decodeChatStream(stream: string): Decoded {
  const events = eventsOf(stream);
  const chunks = events.filter((event) => event["choices"] !== undefined);
  const first = chunks.flatMap((chunk) => list(chunk["choices"]).filter((choice) => (choice["index"] ?? 0) === 0));
  const failed = events.map((event) =>
    event["type"] === "error" ? errorOf(event["error"] ?? event) : chatError(event),
  );
  const usage = chunks.map((chunk) => chunk["usage"] ?? at(chunk, "x_groq", "usage"));
  const error = failed.find((one) => one !== undefined);
  return {
    ...chatMessage(first.map((choice) => choice["delta"])),
    finish:
      error === undefined
        ? CHAT_FINISH[text(first.map((choice) => choice["finish_reason"]).findLast(Boolean))]
        : undefined,
    usage: chatUsage(usage.findLast((one) => one !== undefined && one !== null)),
    error,
  };
}

// -- OpenAI's responses

const responsesUsage = (usage: unknown): Counted | undefined =>
  usage === undefined || usage === null
    ? undefined
    : {
        input: count(at(usage, "input_tokens")),
        output: count(at(usage, "output_tokens")),
        cached: count(at(usage, "input_tokens_details", "cached_tokens")),
        reasoning: count(at(usage, "output_tokens_details", "reasoning_tokens")),
      };

function responsesFinish(body: unknown, calls: boolean): string | undefined {
  switch (at(body, "status")) {
    case "completed":
      return calls ? "tool-calls" : "stop";
    case "incomplete":
      return at(body, "incomplete_details", "reason") === "content_filter" ? "content-filter" : "length";
    case "queued":
    case "in_progress":
      return "pause";
    default:
      return "error";
  }
}

function decodeResponses(body: Json): Decoded {
  if (body["object"] !== "response") return { ...NOTHING, error: errorOf(body["error"]) };
  const items = list(body["output"]);
  const content = items.flatMap((item) => (item["type"] === "message" ? list(item["content"]) : []));
  const calls = items.filter((item) => item["type"] === "function_call");
  const theirs = items.some((item) => item["type"] === "function_call" || item["type"] === "custom_tool_call");
  return {
    text: content.map((part) => text(part["text"])).join(""),
    refusal: content.map((part) => text(part["refusal"])).join(""),
    thinking: items
      .filter((item) => item["type"] === "reasoning")
      .map((item) => (list(item["summary"]).length > 0 ? list(item["summary"]) : list(item["content"])))
      .map((parts) => parts.map((part) => text(part["text"])).join("\n\n"))
      .join(""),
    calls: calls.map((item) => ({ name: text(item["name"]), args: parsed(text(item["arguments"])) })),
    callIds: calls.map((item) => text(item["call_id"])),
    finish: responsesFinish(body, theirs),
    usage: responsesUsage(body["usage"]),
    error: errorOf(body["error"]),
  };
}

/** The deltas and the final response must tell the same; `text` is that of the deltas. */
function decodeResponsesStream(stream: string): Decoded {
  const events = eventsOf(stream);
  const last = events.findLast(({ type }) => /^response\.(completed|incomplete|failed)$/.test(text(type)));
  const error = events.find(({ type }) => type === "error");
  const whole = decodeResponses((last?.["response"] ?? { object: "response" }) as Json);
  const joined = (type: string): string =>
    events.map((event) => (event["type"] === type ? text(event["delta"]) : "")).join("");
  const args = new Map<unknown, string>();
  for (const event of events)
    if (event["type"] === "response.function_call_arguments.delta")
      args.set(event["output_index"], (args.get(event["output_index"]) ?? "") + text(event["delta"]));
  const pieces = [...args.values()];
  const called = last === undefined ? [] : whole.calls;
  return {
    ...whole,
    text: joined("response.output_text.delta"),
    refusal: joined("response.refusal.delta"),
    thinking: last === undefined ? joined("response.reasoning_summary_text.delta") : whole.thinking,
    calls: called.map(({ name, args: final }, place) => ({
      name,
      args: pieces.length === called.length ? parsed(pieces[place] ?? "") : final,
    })),
    finish: last === undefined || whole.error !== undefined ? undefined : whole.finish,
    error: error === undefined ? whole.error : errorOf(error["error"] ?? error),
  };
}

// -- Anthropic's messages

const MESSAGES_FINISH: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool-calls",
  pause_turn: "pause",
  refusal: "refusal",
};

const messagesUsage = (usage: unknown): Counted | undefined =>
  usage === undefined || usage === null
    ? undefined
    : {
        input:
          count(at(usage, "input_tokens")) +
          count(at(usage, "cache_read_input_tokens")) +
          count(at(usage, "cache_creation_input_tokens")),
        output: count(at(usage, "output_tokens")),
        cached: count(at(usage, "cache_read_input_tokens")),
        reasoning: count(at(usage, "output_tokens_details", "thinking_tokens")),
      };

function decodeMessages(body: Json): Decoded {
  if (body["type"] === "error" || body["content"] === undefined) return { ...NOTHING, error: errorOf(body["error"]) };
  const blocks = list(body["content"]);
  const of = (type: string, member: string): string =>
    blocks.map((block) => (block["type"] === type ? text(block[member]) : "")).join("");
  const calls = blocks.filter((block) => block["type"] === "tool_use");
  return {
    text: of("text", "text"),
    refusal: "",
    thinking: of("thinking", "thinking"),
    calls: calls.map((block) => ({ name: text(block["name"]), args: block["input"] })),
    callIds: calls.map((block) => text(block["id"])),
    finish: MESSAGES_FINISH[text(body["stop_reason"])],
    usage: messagesUsage(body["usage"]),
    error: undefined,
  };
}

function decodeMessagesStream(stream: string): Decoded {
  const blocks = new Map<unknown, Json>();
  let usage: Json = {};
  let stop: unknown;
  let error: Decoded["error"];
  for (const event of eventsOf(stream)) {
    const given = (at(event, "message", "usage") ?? event["usage"] ?? {}) as Json;
    usage = { ...usage, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) };
    if (event["type"] === "error") error = errorOf(event["error"]);
    if (event["type"] === "message_delta") stop = at(event, "delta", "stop_reason") ?? stop;
    if (event["type"] === "content_block_start")
      blocks.set(event["index"], { json: "", ...(event["content_block"] as Json) });
    const block = blocks.get(event["index"]);
    if (event["type"] !== "content_block_delta" || block === undefined) continue;
    block["text"] = text(block["text"]) + text(at(event, "delta", "text"));
    block["thinking"] = text(block["thinking"]) + text(at(event, "delta", "thinking"));
    block["json"] = text(block["json"]) + text(at(event, "delta", "partial_json"));
  }
  const content = [...blocks.values()].map((block) =>
    block["json"] === "" ? block : { ...block, input: parsed(text(block["json"])) },
  );
  const whole = decodeMessages({ content, stop_reason: stop, usage });
  return { ...whole, error, finish: error === undefined ? whole.finish : undefined };
}

// -- Google's generateContent

const GEMINI_FILTERS =
  /^(SAFETY|RECITATION|LANGUAGE|BLOCKLIST|PROHIBITED_CONTENT|SPII|MODEL_ARMOR|IMAGE_(SAFETY|PROHIBITED_CONTENT|RECITATION))$/;

function geminiFinish(reason: string, calls: boolean): string | undefined {
  if (reason === "STOP") return calls ? "tool-calls" : "stop";
  if (reason === "MAX_TOKENS") return "length";
  if (GEMINI_FILTERS.test(reason)) return "content-filter";
  return reason === "" ? undefined : "error";
}

function decodeGeminiChunks(chunks: readonly Json[]): Decoded {
  const failed = chunks.find((chunk) => chunk["error"] !== undefined);
  const candidates = chunks.flatMap((chunk) => list(chunk["candidates"]).filter(({ index }) => (index ?? 0) === 0));
  const parts = candidates.flatMap((candidate) => list(at(candidate, "content", "parts")));
  const calls = parts.filter((part) => part["functionCall"] !== undefined);
  const blocked = chunks.some((chunk) => text(at(chunk, "promptFeedback", "blockReason")) !== "");
  const reason = text(candidates.map((candidate) => candidate["finishReason"]).findLast(Boolean));
  const usage = chunks.map((chunk) => chunk["usageMetadata"]).findLast((one) => one !== undefined);
  const thoughts = count(at(usage, "thoughtsTokenCount"));
  return {
    text: parts.map((part) => (part["thought"] === true ? "" : text(part["text"]))).join(""),
    refusal: "",
    thinking: parts.map((part) => (part["thought"] === true ? text(part["text"]) : "")).join(""),
    calls: calls.map((part) => ({
      name: text(at(part, "functionCall", "name")),
      args: at(part, "functionCall", "args") ?? {},
    })),
    callIds: calls.map((part) => text(at(part, "functionCall", "id"))),
    finish: blocked && candidates.length === 0 ? "content-filter" : geminiFinish(reason, calls.length > 0),
    usage:
      usage === undefined
        ? undefined
        : {
            input: count(at(usage, "promptTokenCount")) + count(at(usage, "toolUsePromptTokenCount")),
            output: count(at(usage, "candidatesTokenCount")) + thoughts,
            cached: count(at(usage, "cachedContentTokenCount")),
            reasoning: thoughts,
          },
    error: errorOf(failed?.["error"]),
  };
}

const WHOLE: Readonly<Record<Api, (body: Json) => Decoded>> = {
  "openai-chat": decodeChat,
  "openai-responses": decodeResponses,
  "anthropic-messages": decodeMessages,
  "gemini-generate": (body) => decodeGeminiChunks([body]),
};

const STREAM: Readonly<Record<Api, (stream: string) => Decoded>> = {
  "openai-chat": decodeChatStream,
  "openai-responses": decodeResponsesStream,
  "anthropic-messages": decodeMessagesStream,
  "gemini-generate": (stream) => decodeGeminiChunks(eventsOf(stream)),
};

/** @param answer the body's bytes; what is no JSON is an error without words */
export function decode(api: Api, stream: boolean, answer: string): Decoded {
  if (stream) return STREAM[api](answer);
  if (!/^\s*[{[]/.test(answer)) return { ...NOTHING, error: { message: "", code: "" } };
  const body = JSON.parse(answer) as Json | Json[];
  return WHOLE[api](Array.isArray(body) ? (body[0] ?? {}) : body);
}
