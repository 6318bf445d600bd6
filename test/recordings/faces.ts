import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { type Decoded, isUnreadable } from "./decode/index.ts";
import type { Api, Exchange } from "./exchange.ts";

/** A route of the facade that reaches a model. */
export interface RecordedFace {
  readonly name: "chat" | "responses" | "messages";
  readonly api: Api;
  readonly path: string;
  /** A small request of a client that cannot know which provider answers. */
  readonly ask: (model: string, stream: boolean) => object;
  /** What the official SDK of the dialect throws for such an answer. */
  readonly sdkError: (status: number, body: object) => string;
}

const openAiError = (status: number, body: object): string =>
  OpenAI.APIError.generate(status, body, undefined, new Headers()).constructor.name;
const anthropicError = (status: number, body: object): string =>
  Anthropic.APIError.generate(status, body, undefined, new Headers()).constructor.name;

export const FACES: readonly RecordedFace[] = [
  {
    name: "chat",
    api: "openai-chat",
    path: "/v1/chat/completions",
    ask: (model, stream) => ({
      model,
      messages: [{ role: "user", content: "hello" }],
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    }),
    sdkError: openAiError,
  },
  {
    name: "responses",
    api: "openai-responses",
    path: "/v1/responses",
    ask: (model, stream) => ({ model, input: "hello", ...(stream ? { stream } : {}) }),
    sdkError: openAiError,
  },
  {
    name: "messages",
    api: "anthropic-messages",
    path: "/v1/messages",
    ask: (model, stream) => ({
      model,
      max_tokens: 1000,
      messages: [{ role: "user", content: "hello" }],
      ...(stream ? { stream } : {}),
    }),
    sdkError: anthropicError,
  },
];

/** The answer as a client of another dialect can be told of it: not every dialect has a word for everything. */
export function tellable(expected: Decoded, face: RecordedFace): Omit<Decoded, "error" | "callIds"> {
  const { text, refusal, thinking, calls, usage } = expected;
  let { finish } = expected;
  if (face.name === "messages") {
    // A refusal is text that ends with a stop_reason of its own; there is no word for a failed answer, which must not look whole.
    if (finish === "content-filter" || (finish === "stop" && refusal !== "")) finish = "refusal";
    if (finish === "error") finish = "refusal";
    // Input is an object here: what is none is a member of one.
    const objects = calls.map(({ name, args }) => ({
      name,
      args: isUnreadable(args) ? { INVALID_JSON: args.unreadable } : args,
    }));
    return { text: text + refusal, refusal: "", thinking, calls: objects, finish, usage };
  }
  if (finish === "refusal") finish = "content-filter";
  if (finish === "pause") finish = "stop";
  // A response's status says only that it is complete: calls in it are seen in its items.
  if (face.name === "responses" && finish === "stop" && calls.length > 0) finish = "tool-calls";
  return { text, refusal, thinking, calls, finish, usage };
}

/**
 * The status that a client gets for a provider's. What is wrong between Weir and its provider (its credential, its account) is not the
 * client's fault; otherwise what a provider rejected keeps its status, and its own client sees its own words with its own status.
 */
export function shownStatus({ means, status: said, shows }: Exchange, own: boolean): number {
  const status = means ?? said;
  if (shows !== undefined) return shows;
  if (status === 401 || status === 403) return 502;
  if (status === 402) return 429;
  if (own) return status;
  if (status === 503 || status === 529 || status === 498) return 503;
  if (status === 408 || status === 504 || status === 524) return 504;
  return status >= 500 ? 502 : status;
}
