/** What was said in a recorded request, in whichever dialect and whole or streamed. Throws nothing: what cannot be read says so. */
import { fromBinary } from "@bufbuild/protobuf";
import { sizeDelimitedPeek } from "@bufbuild/protobuf/wire";
import { type audit, common } from "@weir/contracts";
import {
  type ChatEvent,
  type ChatRequest,
  type Dialect,
  dialects,
  type JsonObject,
  type Part,
  SseParser,
} from "@weir/dialects";
import { textsOf } from "../domain/texts.ts";
import type { RecordedTexts } from "../ports.ts";
import { chatFromWire, partFromWire, responseFromWire } from "./chat-wire.ts";

type Read = Omit<Extract<RecordedTexts, { request: unknown }>, "leaf"> | Extract<RecordedTexts, { missing: string }>;

const DIALECTS: Partial<Record<common.Dialect, Dialect>> = {
  [common.Dialect.OPENAI_CHAT]: dialects["openai-chat"],
  [common.Dialect.OPENAI_RESPONSES]: dialects["openai-responses"],
  [common.Dialect.ANTHROPIC_MESSAGES]: dialects["anthropic-messages"],
  [common.Dialect.GEMINI_GENERATE]: dialects["gemini-generate"],
};

const UNREADABLE: Read = { missing: "texts-unreadable" };

export function readTexts({ request, answer }: audit.Payload, dialect: common.Dialect): Read {
  if (request === undefined || request.omitted || answer?.omitted === true) return { missing: "texts-not-kept" };
  try {
    const asked = requestOf(request, DIALECTS[dialect]);
    if (asked === undefined) return UNREADABLE;
    return { request: asked, answer: answer === undefined ? undefined : answerOf(answer, DIALECTS[dialect]) };
  } catch {
    // Whoever wrote it (a client, a provider) may have written anything, and an error's words may quote it.
    return UNREADABLE;
  }
}

const jsonOf = (data: Uint8Array): JsonObject => JSON.parse(new TextDecoder().decode(data)) as JsonObject;

function requestOf({ contentType, data }: audit.Body, dialect: Dialect | undefined): ChatRequest | undefined {
  if (contentType.startsWith("application/protobuf"))
    return contentType.includes(common.ChatRequestSchema.typeName)
      ? chatFromWire(fromBinary(common.ChatRequestSchema, data))
      : undefined;
  return dialect?.parseRequest(jsonOf(data));
}

function answerOf({ contentType, data }: audit.Body, dialect: Dialect | undefined): string {
  if (contentType.startsWith("application/protobuf"))
    return contentType.includes("delimited") ? typedStream(data) : typedWhole(data);
  if (dialect === undefined) throw new TypeError("an answer in no dialect");
  if (!contentType.startsWith("text/event-stream"))
    return textsOf(dialect.parseResponse(jsonOf(data)).choices[0]?.parts ?? []);
  const parser = dialect.streamParser();
  const sse = new SseParser();
  const parts = new StreamedParts();
  for (const event of sse.push(data)) for (const one of parser.push(event)) parts.add(one);
  return parts.text();
}

const typedWhole = (data: Uint8Array): string =>
  textsOf(responseFromWire(fromBinary(common.ChatResponseSchema, data)).choices[0]?.parts ?? []);

function typedStream(data: Uint8Array): string {
  const parts = new StreamedParts();
  for (let at = 0; at < data.length; ) {
    const peeked = sizeDelimitedPeek(data.subarray(at));
    if (peeked.eof || peeked.size === null) throw new TypeError("a stream that is cut off");
    const from = at + peeked.offset;
    const { event } = fromBinary(common.ChatEventSchema, data.subarray(from, from + peeked.size));
    at = from + peeked.size;
    if (event.case === "partDelta") parts.addText(event.value.choice, event.value.index, event.value.text);
    const [part] = event.case === "partStart" && event.value.part !== undefined ? partFromWire(event.value.part) : [];
    if (event.case === "partStart" && part !== undefined) parts.start(event.value.choice, event.value.index, part);
  }
  return parts.text();
}

/** Puts the first choice of a stream together again. */
class StreamedParts {
  private readonly parts = new Map<number, { readonly part: Part; readonly more: string[] }>();

  add(event: ChatEvent): void {
    if (event.type === "part-start") this.start(event.choice, event.index, event.part);
    if (event.type === "part-delta") this.addText(event.choice, event.index, event.text);
  }

  start(choice: number, index: number, part: Part): void {
    if (choice === 0) this.parts.set(index, { part, more: [] });
  }

  addText(choice: number, index: number, text: string): void {
    if (choice === 0) this.parts.get(index)?.more.push(text);
  }

  text(): string {
    const whole = [...this.parts].toSorted(([a], [b]) => a - b);
    return textsOf(whole.map(([, { part, more }]) => withText(part, more.join(""))));
  }
}

function withText(part: Part, more: string): Part {
  if (part.type === "tool-call") return { ...part, arguments: part.arguments + more };
  return part.type === "text" || part.type === "refusal" ? { ...part, text: part.text + more } : part;
}
