import type { JsonObject } from "@weir/dialects";
import {
  type Asked,
  dataEvent,
  listOf,
  objectOf,
  type Said,
  type SentEvent,
  type SimulatedDialect,
  stringOf,
} from "./answer.ts";
import { openAiChat } from "./openai-chat.ts";

const FINISH = { stop: "stop", length: "length", tool: "tool_calls" } as const;
/** Mistral refuses all others. */
const KNOWN = new Set(
  [
    "model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools tool_choice",
    "presence_penalty frequency_penalty n prediction parallel_tool_calls prompt_mode guardrails safe_prompt",
    "reasoning_effort prompt_cache_key",
  ].flatMap((names) => names.split(" ")),
);
const MESSAGE_KNOWN = new Set(["role", "content", "tool_calls", "tool_call_id", "name", "prefix"]);

/** https://docs.mistral.ai/api/: strict in what it takes; models called "magistral…" think in parts of the content. */
export const mistralChat: SimulatedDialect = {
  ...openAiChat,
  refuses(body) {
    const messages = listOf(body["messages"]).map(objectOf);
    const unknown = [
      ...Object.keys(body).filter((name) => !KNOWN.has(name)),
      ...messages.flatMap((message) => Object.keys(message).filter((name) => !MESSAGE_KNOWN.has(name))),
    ];
    const ids = messages.flatMap((message) => [
      ...listOf(message["tool_calls"]).map((call) => stringOf(objectOf(call)["id"])),
      ...(message["role"] === "tool" ? [stringOf(message["tool_call_id"])] : []),
    ]);
    const [name] = unknown;
    if (name !== undefined)
      return {
        status: 422,
        body: { detail: [{ type: "extra_forbidden", loc: ["body", name], msg: "Extra inputs are not permitted" }] },
      };
    if (!ids.every((id) => /^[a-zA-Z0-9]{9}$/.test(id)))
      return { status: 400, body: errorOf(400, "3280", "Tool call id has to be of length 9") };
    return undefined;
  },
  whole: (asked, said, usage) => ({
    ...head(asked, "chat.completion"),
    choices: [{ index: 0, finish_reason: FINISH[said.finish], message: messageOf(asked, said) }],
    ...(usage ? { usage: usageOf(said) } : {}),
  }),
  events(asked, said, usage) {
    const events: SentEvent[] = [];
    const send = (delta: JsonObject, tokens: number, last: JsonObject = {}, finish: string | null = null): void => {
      const choices = [{ index: 0, delta, finish_reason: finish }];
      events.push({ text: dataEvent({ ...head(asked, "chat.completion.chunk"), choices, ...last }), tokens });
    };
    send({ role: "assistant", content: "" }, 0);
    if (thinks(asked)) send({ content: [thought] }, 0);
    for (const word of said.words) send({ content: word }, 1);
    const { content: _, role: __, ...called } = messageOf(asked, said);
    const told = usage ? { usage: usageOf(said) } : {};
    send({ content: "", ...called }, said.call === undefined ? 0 : said.outputTokens, told, FINISH[said.finish]);
    return [...events, { text: "data: [DONE]\n\n", tokens: 0 }];
  },
  error: errorOf,
  errorEvent: (text) => dataEvent({ error: errorOf(500, undefined, text) }),
};

const thinks = ({ model }: Asked): boolean => model.startsWith("magistral");
const thought = { type: "thinking", thinking: [{ type: "text", text: "Let me think." }] };

function messageOf(asked: Asked, { call, words }: Said): JsonObject {
  const text = words.join("");
  const message: JsonObject = {
    role: "assistant",
    content: thinks(asked) ? [thought, { type: "text", text }] : text,
  };
  if (call === undefined) return message;
  const given = JSON.stringify(call.arguments);
  return { ...message, tool_calls: [{ id: "D681PevKs", function: { name: call.name, arguments: given }, index: 0 }] };
}

function errorOf(status: number, code: string | undefined, message: string): JsonObject {
  const type = status === 429 ? "rate_limited" : status >= 500 ? "internal_server_error" : "invalid_request_error";
  return { object: "error", message, type, param: null, code: code ?? (status === 429 ? "1300" : "1500") };
}

const head = ({ model }: Asked, object: string): JsonObject => ({
  id: "23271c0215f547dcb5d5e2950f354f9d",
  object,
  created: 1_780_000_000,
  model,
});

const usageOf = ({ inputTokens, outputTokens }: Said): JsonObject => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens,
});
