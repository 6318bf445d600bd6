/**
 * Reads what providers and the facade answer, in every dialect, by means as simple as can be. Written from the providers' documents; it
 * knows nothing of Weir's own dialects, so that the two can be compared.
 */
import type { Api } from "../exchange.ts";
import { decodeConverse, decodeConverseStream } from "./bedrock.ts";
import { decodeChat, decodeChatStream } from "./chat.ts";
import { type Decoded, eventsOf, type Json, NOTHING } from "./decoded.ts";
import { decodeGeminiChunks } from "./gemini.ts";
import { decodeMessages, decodeMessagesStream } from "./messages.ts";
import { decodeResponses, decodeResponsesStream } from "./responses.ts";

export { type Decoded, isUnreadable } from "./decoded.ts";

const WHOLE: Readonly<Record<Api, (body: Json) => Decoded>> = {
  "openai-chat": decodeChat,
  "mistral-chat": decodeChat,
  "bedrock-converse": decodeConverse,
  "openai-responses": decodeResponses,
  "anthropic-messages": decodeMessages,
  "gemini-generate": (body) => decodeGeminiChunks([body]),
};

const STREAM: Readonly<Record<Exclude<Api, "bedrock-converse">, (stream: string) => Decoded>> = {
  "openai-chat": decodeChatStream,
  "mistral-chat": decodeChatStream,
  "openai-responses": decodeResponsesStream,
  "anthropic-messages": decodeMessagesStream,
  "gemini-generate": (stream) => decodeGeminiChunks(eventsOf(stream)),
};

/** @param bytes the body's bytes; what is no JSON is an error without words */
export function decode(api: Api, stream: boolean, bytes: Buffer | string): Decoded {
  if (stream && api === "bedrock-converse") return decodeConverseStream(Buffer.from(bytes));
  const answer = bytes.toString();
  if (stream && api !== "bedrock-converse") return STREAM[api](answer);
  if (!/^\s*[{[]/.test(answer)) return { ...NOTHING, error: { message: "", code: "" } };
  const body = JSON.parse(answer) as Json | Json[];
  return WHOLE[api](Array.isArray(body) ? (body[0] ?? {}) : body);
}
