/** OpenAI's chat completions, and those compatible with it. */
import {
  at,
  count,
  type Counted,
  type Decoded,
  errorOf,
  eventsOf,
  type Json,
  list,
  NOTHING,
  parsed,
  text,
  word,
} from "./decoded.ts";

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

export function decodeChat(body: Json): Decoded {
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

export function decodeChatStream(stream: string): Decoded {
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
