/** Anthropic's messages. */
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
} from "./decoded.ts";

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

export function decodeMessages(body: Json): Decoded {
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

export function decodeMessagesStream(stream: string): Decoded {
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
