/** Amazon Bedrock's Converse (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html). */
import type { Exchange } from "../exchange.ts";
import { making } from "./making.ts";

const bedrock = making("bedrock-converse", "bedrock", { messages: [{ role: "user", content: [{ text: "hello" }] }] });

const USAGE = { inputTokens: 22, outputTokens: 13, totalTokens: 2527, cacheReadInputTokens: 2492, serverToolUsage: {} };
const whole = (content: object[], stopReason: string, more: object = {}) => ({
  metrics: { latencyMs: 401 },
  output: { message: { content, role: "assistant" } },
  stopReason,
  usage: USAGE,
  ...more,
});
const event = (type: string, data: object) => ({ type, data: { ...data, p: "abcdefghijklmnopqrstuvwxyzABCDEF" } });
const delta = (contentBlockIndex: number, given: object) =>
  event("contentBlockDelta", { contentBlockIndex, delta: given });
const start = (contentBlockIndex: number, toolUseId: string, name: string) =>
  event("contentBlockStart", { contentBlockIndex, start: { toolUse: { toolUseId, name } } });
const stop = (contentBlockIndex: number) => event("contentBlockStop", { contentBlockIndex });
const exception = (type: string, message: string) => ({ type: `exception:${type}`, data: { message } });
const BEGIN = event("messageStart", { role: "assistant" });
const end = (stopReason: string) => [
  event("messageStop", { stopReason }),
  event("metadata", { usage: USAGE, metrics: { latencyMs: 3 } }),
];

export const bedrockConverse: readonly Exchange[] = [
  bedrock("text", { answer: whole([{ text: "Grüezi " }, { text: "🌍" }], "end_turn") }),
  bedrock("thinking, text and calls", {
    answer: whole(
      [
        { reasoningContent: { reasoningText: { text: "Hm.", signature: "c2lnbmF0dXJl" } } },
        { reasoningContent: { redactedContent: "UlhwamNtVjA=" } },
        { text: "Looking." },
        { toolUse: { toolUseId: "tooluse_a", name: "get_weather", input: { city: "Bern", days: [1, 2.5] } } },
        { toolUse: { toolUseId: "functions.ping:0", name: "ping", input: {}, type: "tool_use" } },
      ],
      "tool_use",
      { additionalModelResponseFields: { x: 1 } },
    ),
  }),
  bedrock("a guardrail that stepped in", {
    answer: whole([{ text: "I cannot." }], "guardrail_intervened", { trace: { guardrail: { inputAssessment: {} } } }),
  }),
  bedrock("cut by its cap", { answer: whole([{ text: "Once upon" }], "max_tokens") }),
  bedrock("text with citations", {
    answer: whole(
      [{ citationsContent: { content: [{ text: "It rains." }], citations: [{ title: "t", location: {} }] } }],
      "end_turn",
    ),
  }),
  bedrock("text, streamed", {
    answer: [BEGIN, delta(0, { text: "Grüe" }), delta(0, { text: "zi 🌍" }), stop(0), ...end("end_turn")],
  }),
  bedrock("thinking, text and calls, streamed", {
    answer: [
      BEGIN,
      delta(0, { reasoningContent: { text: "H" } }),
      delta(0, { reasoningContent: { text: "m." } }),
      delta(0, { reasoningContent: { signature: "c2lnbmF0dXJl" } }),
      stop(0),
      delta(1, { text: "Looking." }),
      stop(1),
      start(2, "tooluse_a", "get_weather"),
      delta(2, { toolUse: { input: '{"city":' } }),
      delta(2, { toolUse: { input: ' "Bern"}' } }),
      stop(2),
      start(3, "tooluse_b", "ping"),
      stop(3),
      ...end("tool_use"),
    ],
  }),
  bedrock("a model that breaks in the middle", {
    answer: [BEGIN, delta(0, { text: "I was" }), exception("modelStreamErrorException", "the model broke")],
  }),
  bedrock("a throttled stream", {
    means: 429,
    answer: [BEGIN, exception("throttlingException", "Too many requests, please wait before trying again.")],
  }),
  bedrock("a stream that is refused", {
    means: 400,
    answer: [exception("validationException", "The model does not take this.")],
  }),
  bedrock("400", {
    status: 400,
    headers: { "x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/" },
    answer: { message: "1 validation error detected" },
  }),
  bedrock("403", {
    status: 403,
    headers: { "x-amzn-errortype": "AccessDeniedException:http://internal.amazon.com/" },
    answer: { message: "You don't have access to the model with the specified model ID." },
  }),
  bedrock("404", {
    status: 404,
    headers: { "x-amzn-errortype": "ResourceNotFoundException" },
    answer: { message: "This model version has reached the end of its life." },
  }),
  bedrock("429", {
    status: 429,
    headers: { "x-amzn-errortype": "ThrottlingException" },
    answer: { message: "Too many tokens, please wait before trying again." },
  }),
  bedrock("503", {
    status: 503,
    headers: { "x-amzn-errortype": "ServiceUnavailableException" },
    answer: { message: "Bedrock is unable to process your request." },
  }),
];
