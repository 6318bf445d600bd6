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
import { openAiError } from "./openai-chat.ts";

const CREATED = 1_780_000_000;

/** https://platform.openai.com/docs/api-reference/responses */
export const openAiResponses: SimulatedDialect = {
  ask(body): Asked {
    const { input } = body;
    const items = typeof input === "string" ? [{ role: "user", content: input }] : listOf(input).map(objectOf);
    const last = items.at(-1);
    const format = objectOf(objectOf(body["text"])["format"]);
    const choice = body["tool_choice"];
    return {
      model: stringOf(body["model"]),
      stream: body["stream"] === true,
      n: 1,
      inputText: [stringOf(body["instructions"]), ...items.map((item) => textIn(item["content"]))].join(" "),
      lastUserText: textIn(items.findLast((item) => item["role"] === "user")?.["content"]),
      toolResult: last?.["type"] === "function_call_output" ? textIn(last["output"]) : undefined,
      tools: listOf(body["tools"])
        .map(objectOf)
        .filter(({ type }) => type === "function")
        .map(({ name, parameters }) => ({ name: stringOf(name), schema: objectOf(parameters) })),
      forcedTool: choice === "none" ? "" : stringOf(objectOf(choice)["name"]) || undefined,
      schema: format["type"] === "json_schema" ? objectOf(format["schema"]) : undefined,
      cap: numberOf(body["max_output_tokens"]),
      wantsUsage: true,
    };
  },
  whole: (asked, said, usage) => response(asked, said, usage, said.finish === "length" ? "incomplete" : "completed"),
  events(asked, said, usage) {
    const events: SentEvent[] = [];
    let sequence = 0;
    const send = (type: string, value: JsonObject, tokens = 0): void => {
      events.push({ text: dataEvent({ type, sequence_number: sequence++, ...value }, type), tokens });
    };
    const begun = response(asked, { ...said, words: [], call: undefined }, false, "in_progress");
    send("response.created", { response: { ...begun, output: [], usage: null } });
    send("response.in_progress", { response: { ...begun, output: [], usage: null } });
    const item = itemOf(said, "completed");
    const at = { output_index: 0, item_id: item["id"] ?? "" };
    if (said.call !== undefined) {
      send("response.output_item.added", { output_index: 0, item: { ...item, arguments: "", status: "in_progress" } });
      const text = JSON.stringify(said.call.arguments);
      const pieces = piecesOf(text);
      for (const delta of pieces)
        send("response.function_call_arguments.delta", { ...at, delta }, said.outputTokens / pieces.length);
      send("response.function_call_arguments.done", { ...at, arguments: text });
    } else {
      const part = { type: "output_text", annotations: [], logprobs: [], text: "" };
      const text = said.words.join("");
      send("response.output_item.added", { output_index: 0, item: { ...item, content: [], status: "in_progress" } });
      send("response.content_part.added", { ...at, content_index: 0, part });
      for (const delta of said.words)
        send("response.output_text.delta", { ...at, content_index: 0, delta, logprobs: [] }, 1);
      send("response.output_text.done", { ...at, content_index: 0, text, logprobs: [] });
      send("response.content_part.done", { ...at, content_index: 0, part: { ...part, text } });
    }
    send("response.output_item.done", { output_index: 0, item });
    const end = said.finish === "length" ? "incomplete" : "completed";
    send(`response.${end}`, { response: response(asked, said, usage, end) });
    return events;
  },
  error: openAiError,
  errorEvent: (message) =>
    dataEvent({ type: "error", sequence_number: 99, code: "server_error", message, param: null }, "error"),
};

function itemOf({ call, words }: Said, status: string): JsonObject {
  if (call !== undefined)
    return {
      type: "function_call",
      id: "fc_simulated",
      call_id: call.id,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
      status,
    };
  const content = [{ type: "output_text", annotations: [], logprobs: [], text: words.join("") }];
  return { type: "message", id: "msg_simulated", role: "assistant", status, content };
}

function response(asked: Asked, said: Said, usage: boolean, status: string): JsonObject {
  const { inputTokens, outputTokens } = said;
  return {
    id: "resp_simulated",
    object: "response",
    created_at: CREATED,
    status,
    background: false,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: null,
    max_output_tokens: asked.cap ?? null,
    model: asked.model,
    output: [itemOf(said, status === "incomplete" ? "incomplete" : "completed")],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: true,
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    truncation: "disabled",
    usage: usage
      ? {
          input_tokens: inputTokens,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: outputTokens,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: inputTokens + outputTokens,
        }
      : null,
    user: null,
    metadata: {},
  };
}
