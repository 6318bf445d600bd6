import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { common } from "@weir/contracts";
import type { ChatEvent, ChatResponse, Part, TokenLogprob } from "@weir/dialects";
import { usageMessage } from "./result.ts";
import { wireDialect, wireFinish, wireKind } from "./names.ts";

type PartInit = MessageInitShape<typeof common.PartSchema>;

export function responseMessage(response: ChatResponse): common.ChatResponse {
  return create(common.ChatResponseSchema, {
    id: response.id,
    model: response.model,
    createdS: BigInt(Math.floor(response.createdS)),
    choices: response.choices.map((choice) => ({
      index: choice.index,
      parts: choice.parts.map(partInit),
      finishReason: wireFinish(choice.finishReason),
      logprobs: choice.logprobs?.map(logprobInit) ?? [],
      stopSequence: choice.stopSequence ?? "",
    })),
    ...(response.usage === undefined ? {} : { usage: usageMessage(response.usage) }),
  });
}

export function eventMessage(event: ChatEvent): common.ChatEvent {
  return create(common.ChatEventSchema, { event: eventInit(event) });
}

function eventInit(event: ChatEvent): NonNullable<MessageInitShape<typeof common.ChatEventSchema>["event"]> {
  switch (event.type) {
    case "start": {
      const { id, model, createdS } = event;
      return { case: "start", value: { id, model, createdS: BigInt(Math.floor(createdS)) } };
    }
    case "part-start":
      return { case: "partStart", value: { choice: event.choice, index: event.index, part: partInit(event.part) } };
    case "part-delta": {
      const { choice, index, text, signature = "", logprobs } = event;
      return {
        case: "partDelta",
        value: { choice, index, text, signature, logprobs: logprobs?.map(logprobInit) ?? [] },
      };
    }
    case "part-end":
      return { case: "partEnd", value: { choice: event.choice, index: event.index } };
    case "finish": {
      const { choice, reason, stopSequence = "" } = event;
      return { case: "finish", value: { choice, reason: wireFinish(reason), stopSequence } };
    }
    case "usage":
      return { case: "usage", value: usageMessage(event.usage) };
  }
}

function logprobInit(logprob: TokenLogprob): MessageInitShape<typeof common.TokenLogprobSchema> {
  const { token, logprob: value, bytes, top } = logprob;
  return { token, logprob: value, bytes: bytes ?? [], top: top?.map(logprobInit) ?? [] };
}

function partInit(part: Part): PartInit {
  switch (part.type) {
    case "text":
      return { part: { case: "text", value: { text: part.text } } };
    case "media": {
      const { kind, mediaType = "", name = "", detail = "", source } = part;
      const from =
        "base64" in source
          ? ({ case: "data", value: new Uint8Array(Buffer.from(source.base64, "base64")) } as const)
          : "url" in source
            ? ({ case: "url", value: source.url } as const)
            : ({ case: "fileId", value: source.fileId } as const);
      return { part: { case: "media", value: { kind: wireKind(kind), mediaType, name, detail, source: from } } };
    }
    case "tool-call": {
      const { id, name, arguments: text } = part;
      return { part: { case: "toolCall", value: { id, name, arguments: text } } };
    }
    case "tool-result": {
      const { id, name = "", parts, isError = false } = part;
      return { part: { case: "toolResult", value: { id, name, parts: parts.map(partInit), isError } } };
    }
    case "thinking": {
      const { text, signature = "", redacted = "" } = part;
      return { part: { case: "thinking", value: { text, signature, redacted } } };
    }
    case "refusal":
      return { part: { case: "refusal", value: { text: part.text } } };
    case "unknown":
      return {
        part: {
          case: "unknown",
          value: { dialect: wireDialect(part.dialect), json: JSON.stringify(part.value) },
        },
      };
  }
}
