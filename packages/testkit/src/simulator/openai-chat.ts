import type { Json, JsonObject } from "@weir/dialects";
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

const FINISH = { stop: "stop", length: "length", tool: "tool_calls" } as const;
const CREATED = 1_780_000_000;

/** https://platform.openai.com/docs/api-reference/chat */
export const openAiChat: SimulatedDialect = {
  ask(body): Asked {
    const messages = listOf(body["messages"]).map(objectOf);
    const last = messages.at(-1);
    const format = objectOf(body["response_format"]);
    const choice = body["tool_choice"];
    return {
      model: stringOf(body["model"]),
      stream: body["stream"] === true,
      n: numberOf(body["n"]) ?? 1,
      inputText: messages.map(({ content }) => textIn(content)).join(" "),
      lastUserText: textIn(messages.findLast(({ role }) => role === "user")?.["content"]),
      toolResult: last?.["role"] === "tool" ? textIn(last["content"]) : undefined,
      tools: listOf(body["tools"]).map((tool) => {
        const { name, parameters } = objectOf(objectOf(tool)["function"]);
        return { name: stringOf(name), schema: objectOf(parameters) };
      }),
      forcedTool: choice === "none" ? "" : stringOf(objectOf(objectOf(choice)["function"])["name"]) || undefined,
      schema: format["type"] === "json_schema" ? objectOf(objectOf(format["json_schema"])["schema"]) : undefined,
      cap: numberOf(body["max_completion_tokens"]) ?? numberOf(body["max_tokens"]),
      wantsUsage: objectOf(body["stream_options"])["include_usage"] === true,
    };
  },
  whole(asked, said, usage) {
    const { call } = said;
    const message: JsonObject = {
      role: "assistant",
      content: call === undefined ? said.words.join("") : null,
      refusal: null,
      annotations: [],
    };
    if (call !== undefined) message["tool_calls"] = [toolCall(call)];
    const choices = Array.from({ length: asked.n }, (_, index) => ({
      index,
      message,
      logprobs: null,
      finish_reason: FINISH[said.finish],
    }));
    return { ...head(asked, "chat.completion"), choices, ...(usage ? { usage: usageOf(asked, said) } : {}) };
  },
  events(asked, said, usage) {
    const told = usage && asked.wantsUsage;
    const chunk = (choices: Json[], last?: JsonObject): string =>
      dataEvent({ ...head(asked, "chat.completion.chunk"), choices, ...(told ? { usage: last ?? null } : {}) });
    const events: SentEvent[] = [];
    for (let index = 0; index < asked.n; index += 1) {
      const delta = (value: JsonObject, tokens: number, finish_reason: string | null = null): void => {
        events.push({ text: chunk([{ index, delta: value, logprobs: null, finish_reason }]), tokens });
      };
      delta({ role: "assistant", content: said.call === undefined ? "" : null, refusal: null }, 0);
      for (const word of said.words) delta({ content: word }, 1);
      if (said.call !== undefined) {
        const { function: called, ...rest } = toolCall(said.call);
        delta(
          { tool_calls: [{ index: 0, ...rest, function: { name: objectOf(called)["name"] ?? "", arguments: "" } }] },
          0,
        );
        const pieces = piecesOf(JSON.stringify(said.call.arguments));
        for (const piece of pieces)
          delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] }, said.outputTokens / pieces.length);
      }
      delta({}, 0, FINISH[said.finish]);
    }
    if (told) events.push({ text: chunk([], usageOf(asked, said)), tokens: 0 });
    return [...events, { text: "data: [DONE]\n\n", tokens: 0 }];
  },
  error: openAiError,
  errorEvent: (text) => dataEvent(openAiError(500, undefined, text)),
};

export function openAiError(status: number, code: string | undefined, text: string): JsonObject {
  const type = status === 401 ? "invalid_request_error" : status >= 500 ? "server_error" : "invalid_request_error";
  return {
    error: { message: text, type: status === 429 ? (code ?? "tokens") : type, param: null, code: code ?? null },
  };
}

const head = ({ model }: Asked, object: string): JsonObject => ({
  id: "chatcmpl-simulated",
  object,
  created: CREATED,
  model,
  service_tier: "default",
  system_fingerprint: "fp_simulated",
});

const toolCall = ({ id, name, arguments: value }: NonNullable<Said["call"]>): JsonObject => ({
  id,
  type: "function",
  function: { name, arguments: JSON.stringify(value) },
});

function usageOf({ n }: Asked, { inputTokens, outputTokens }: Said): JsonObject {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens * n,
    total_tokens: inputTokens + outputTokens * n,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
