import type { ChatRequest, MediaPart, Part } from "@weir/dialects";
import type { Call, ChatInput, EmbedInput } from "../domain/call.ts";
import type { RuleFacts } from "../domain/route-table.ts";
import type { Needs } from "../domain/strategy.ts";
import { type Dialects, type ProviderDialects, Preparation } from "./prepare.ts";
import { hasMedia, textsOfRequest } from "./usage.ts";

interface Readers {
  readonly dialects: Dialects;
  readonly wires: ProviderDialects;
}

export interface RequestFacts {
  readonly forRules: RuleFacts;
  /** What it asks of whoever serves it. */
  readonly needs: () => Needs;
}

/**
 * What a route may want to know of a request. It is read only where it is asked for what is in it; one that cannot be read has nothing in it,
 * and is refused by whoever would send it.
 */
export function requestFacts(
  readers: Readers,
  call: Call,
  input: ChatInput | EmbedInput,
  stream: boolean,
): RequestFacts {
  let known: ChatRequest | undefined;
  let looked = false;
  const core = (): ChatRequest | undefined => {
    if (looked) return known;
    looked = true;
    try {
      const isChat = input.kind === "raw" ? "dialect" in input : "messages" in input.request;
      if (isChat) known = new Preparation(readers, input as ChatInput, call, stream).core;
    } catch {
      // Told to its client when it is to be sent.
    }
    return known;
  };
  let needs: Needs | undefined;
  return {
    forRules: rulesView(call, core, stream),
    needs: () => (needs ??= needsOf(core())),
  };
}

const isStructured = (request: ChatRequest | undefined): boolean =>
  request?.responseFormat !== undefined && request.responseFormat.type !== "text";

function needsOf(request: ChatRequest | undefined): Needs {
  const kinds = new Set<MediaPart["kind"]>();
  const look = (parts: readonly Part[]): void => {
    for (const part of parts) {
      if (part.type === "media") kinds.add(part.kind);
      else if (part.type === "tool-result") look(part.parts);
    }
  };
  for (const { parts } of request?.messages ?? []) look(parts);
  return {
    tools: (request?.tools?.length ?? 0) > 0,
    images: kinds.has("image"),
    audio: kinds.has("audio"),
    documents: kinds.has("file"),
    structuredOutput: isStructured(request),
  };
}

function rulesView(call: Call, core: () => ChatRequest | undefined, stream: boolean): RuleFacts {
  return {
    model: call.model,
    stream,
    input_tokens: BigInt(call.inputBound),
    output_tokens: BigInt(call.outputCap),
    tags: call.tags,
    conversation: call.conversation,
    get tools() {
      return (core()?.tools?.length ?? 0) > 0;
    },
    get media() {
      return core()?.messages.some(({ parts }) => hasMedia(parts)) ?? false;
    },
    get structured() {
      return isStructured(core());
    },
    get messages() {
      return BigInt(core()?.messages.length ?? 0);
    },
    get text() {
      const request = core();
      return request === undefined ? "" : textsOfRequest(request).join("\n");
    },
  };
}
