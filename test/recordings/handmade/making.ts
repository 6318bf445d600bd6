import { encodeAwsEvent } from "@weir/dialects";
import type { Api, Exchange } from "../exchange.ts";

interface Making {
  readonly request?: object;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly means?: number;
  readonly shows?: number;
  /** An object is sent as JSON; a list as a stream, texts in it as they stand; a text as it stands, not as a stream. */
  readonly answer: object | string | readonly (object | string)[];
}

export type Make = (name: string, making: Making) => Exchange;

type Json = Record<string, unknown>;

const WRITTEN: Readonly<Record<Api, (event: object) => string | Uint8Array>> = {
  "mistral-chat": (event) => `data: ${JSON.stringify(event)}\n\n`,
  "bedrock-converse"(event) {
    const { type, data } = event as { type: string; data: object };
    return encodeAwsEvent({ event: type, data: JSON.stringify(data) });
  },
  "openai-chat": (event) => `data: ${JSON.stringify(event)}\n\n`,
  "openai-responses": (event) => `event: ${String((event as Json)["type"])}\ndata: ${JSON.stringify(event)}\n\n`,
  // With the spaces that Anthropic pads its events with.
  "anthropic-messages": (event) =>
    `event: ${String((event as Json)["type"])}\ndata: ${JSON.stringify(event).replace(/\}$/, "   }")}\n\n`,
  // Google ends its lines with CRLF.
  "gemini-generate": (event) => `data: ${JSON.stringify(event)}\r\n\r\n`,
};

const STREAM_TYPES: Readonly<Record<Api, string>> = {
  "openai-chat": "text/event-stream",
  "mistral-chat": "text/event-stream",
  "openai-responses": "text/event-stream",
  "anthropic-messages": "text/event-stream",
  "gemini-generate": "text/event-stream",
  "bedrock-converse": "application/vnd.amazon.eventstream",
};

/** @param request what every request of it has */
export const making =
  (api: Api, kind: Exchange["kind"], request: object): Make =>
  (name, { request: more = {}, status = 200, headers = {}, means, shows, answer }) => {
    const stream = Array.isArray(answer);
    const events = stream ? (answer as (object | string)[]) : [];
    const body = stream
      ? Buffer.concat(events.map((event) => Buffer.from(typeof event === "string" ? event : WRITTEN[api](event))))
      : typeof answer === "string"
        ? answer
        : JSON.stringify(answer, undefined, 2);
    return {
      name: `${kind}: ${name}`,
      api,
      kind,
      query: "",
      request: { ...request, ...(stream && api !== "bedrock-converse" ? { stream: true } : {}), ...more },
      status,
      headers: { "content-type": stream ? STREAM_TYPES[api] : "application/json", ...headers },
      stream,
      answer: Buffer.from(body),
      ...(means === undefined ? {} : { means }),
      ...(shows === undefined ? {} : { shows }),
    };
  };
