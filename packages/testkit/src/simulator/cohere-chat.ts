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

const FINISH = { stop: "COMPLETE", length: "MAX_TOKENS", tool: "TOOL_CALL" } as const;
const ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4";

/** https://docs.cohere.com/reference/chat, the second version, and its stream */
export const cohereChat: SimulatedDialect = {
  ask(body): Asked {
    const messages = listOf(body["messages"]).map(objectOf);
    const last = messages.at(-1);
    const schema = objectOf(body["response_format"])["json_schema"];
    return {
      model: stringOf(body["model"]),
      stream: body["stream"] === true,
      n: 1,
      inputText: messages.map(({ content }) => textIn(content)).join(" "),
      lastUserText: textIn(messages.findLast(({ role }) => role === "user")?.["content"]),
      toolResult: last?.["role"] === "tool" ? textIn(last["content"]) : undefined,
      tools: listOf(body["tools"]).map((tool) => {
        const { name, parameters } = objectOf(objectOf(tool)["function"]);
        return { name: stringOf(name), schema: objectOf(parameters) };
      }),
      forcedTool: body["tool_choice"] === "NONE" ? "" : undefined,
      schema: schema === undefined ? undefined : objectOf(schema),
      cap: numberOf(body["max_tokens"]),
      wantsUsage: true,
    };
  },
  whole(_, said, usage) {
    const message: JsonObject = { role: "assistant" };
    if (said.call === undefined) message["content"] = [{ type: "text", text: said.words.join("") }];
    else {
      message["tool_plan"] = PLAN.join("");
      message["tool_calls"] = [toolCall(said.call, JSON.stringify(said.call.arguments))];
    }
    return { id: ID, message, finish_reason: FINISH[said.finish], ...(usage ? { usage: usageOf(said) } : {}) };
  },
  events(_, said, usage) {
    const events: SentEvent[] = [];
    const send = (type: string, value: JsonObject, tokens = 0): void => {
      events.push({ text: dataEvent({ type, ...value }, type), tokens });
    };
    const say = (type: string, message: JsonObject, tokens = 0): void =>
      send(type, { index: 0, delta: { message } }, tokens);
    send("message-start", { id: ID, delta: { message: { role: "assistant", content: [], tool_calls: [] } } });
    if (said.call === undefined) {
      say("content-start", { content: { type: "text", text: "" } });
      for (const text of said.words) say("content-delta", { content: { text } }, 1);
      send("content-end", { index: 0 });
    } else {
      for (const tool_plan of PLAN) send("tool-plan-delta", { delta: { message: { tool_plan } } });
      say("tool-call-start", { tool_calls: toolCall(said.call, "") });
      const pieces = piecesOf(JSON.stringify(said.call.arguments));
      for (const piece of pieces)
        say("tool-call-delta", { tool_calls: { function: { arguments: piece } } }, said.outputTokens / pieces.length);
      send("tool-call-end", { index: 0 });
    }
    const delta = { finish_reason: FINISH[said.finish], ...(usage ? { usage: usageOf(said) } : {}) };
    send("message-end", { id: ID, delta });
    return events;
  },
  error: (_status, _code, message) => ({ id: ID, message }),
  errorEvent: (error) =>
    dataEvent({ type: "message-end", id: ID, delta: { finish_reason: "ERROR", error } }, "message-end"),
};

const PLAN = ["I will", " call it."];

const toolCall = ({ id, name }: NonNullable<Said["call"]>, given: string): JsonObject => ({
  id,
  type: "function",
  function: { name, arguments: given },
});

const usageOf = ({ inputTokens, outputTokens }: Said): JsonObject => ({
  billed_units: { input_tokens: inputTokens, output_tokens: outputTokens },
  // With what Cohere adds by itself.
  tokens: { input_tokens: inputTokens + 60, output_tokens: outputTokens + 4 },
});
