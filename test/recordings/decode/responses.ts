/** OpenAI's responses. */
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

export function decodeResponses(body: Json): Decoded {
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
export function decodeResponsesStream(stream: string): Decoded {
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
