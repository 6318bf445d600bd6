import type { JsonObject } from "@weir/dialects";
import {
  type Asked,
  dataEvent,
  listOf,
  numberOf,
  objectOf,
  piecesOf,
  type Said,
  type SentEvent,
  type SimulatedDialect,
  stringOf,
  textIn,
} from "./answer.ts";

const STOP = { stop: "end_turn", length: "max_tokens", tool: "tool_use" } as const;
const TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

/** https://docs.anthropic.com/en/api/messages */
export const anthropicMessages: SimulatedDialect = {
  ask(body): Asked {
    const messages = listOf(body["messages"]).map(objectOf);
    const results = listOf(messages.at(-1)?.["content"])
      .map(objectOf)
      .filter(({ type }) => type === "tool_result");
    const choice = objectOf(body["tool_choice"]);
    const format = objectOf(objectOf(body["output_config"])["format"]);
    return {
      model: stringOf(body["model"]),
      stream: body["stream"] === true,
      n: 1,
      inputText: [textIn(body["system"]), ...messages.map(({ content }) => textIn(content))].join(" "),
      lastUserText: textIn(messages.findLast(({ role }) => role === "user")?.["content"]),
      toolResult: results.length === 0 ? undefined : textIn(results[0]?.["content"]),
      tools: listOf(body["tools"])
        .map(objectOf)
        .filter((tool) => tool["input_schema"] !== undefined)
        .map((tool) => ({ name: stringOf(tool["name"]), schema: objectOf(tool["input_schema"]) })),
      forcedTool: choice["type"] === "none" ? "" : stringOf(choice["name"]) || undefined,
      schema: format["type"] === "json_schema" ? objectOf(format["schema"]) : undefined,
      cap: numberOf(body["max_tokens"]),
      wantsUsage: true,
    };
  },
  whole: (asked, said, usage) => ({
    ...head(asked, usage ? usageOf(said, said.outputTokens) : {}),
    content: [blockOf(said)],
    stop_reason: STOP[said.finish],
  }),
  events(asked, said, usage) {
    const events: SentEvent[] = [];
    const send = (type: string, value: JsonObject, tokens = 0): void => {
      events.push({ text: dataEvent({ type, ...value }, type), tokens });
    };
    send("message_start", { message: head(asked, usage ? usageOf(said, 1) : {}) });
    const block = blockOf(said);
    const empty = said.call === undefined ? { ...block, text: "" } : { ...block, input: {} };
    send("content_block_start", { index: 0, content_block: empty });
    send("ping", {});
    for (const text of said.words) send("content_block_delta", { index: 0, delta: { type: "text_delta", text } }, 1);
    if (said.call !== undefined) {
      const pieces = piecesOf(JSON.stringify(said.call.arguments));
      for (const partial_json of pieces)
        send(
          "content_block_delta",
          { index: 0, delta: { type: "input_json_delta", partial_json } },
          said.outputTokens / pieces.length,
        );
    }
    send("content_block_stop", { index: 0 });
    const delta = { stop_reason: STOP[said.finish], stop_sequence: null };
    send("message_delta", { delta, ...(usage ? { usage: { output_tokens: said.outputTokens } } : {}) });
    send("message_stop", {});
    return events;
  },
  error: (status, code, message) => ({
    type: "error",
    error: { type: code ?? TYPES[status] ?? "api_error", message },
    request_id: "req_simulated",
  }),
  errorEvent: (message) => dataEvent({ type: "error", error: { type: "overloaded_error", message } }, "error"),
};

const head = ({ model }: Asked, usage: JsonObject): JsonObject => ({
  id: "msg_simulated",
  type: "message",
  role: "assistant",
  model,
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage,
});

const blockOf = ({ call, words }: Said): JsonObject =>
  call === undefined
    ? { type: "text", text: words.join("") }
    : { type: "tool_use", id: `toolu_${call.id}`, name: call.name, input: call.arguments };

const usageOf = ({ inputTokens }: Said, outputTokens: number): JsonObject => ({
  input_tokens: inputTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: outputTokens,
  service_tier: "standard",
});
