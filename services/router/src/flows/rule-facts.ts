import type { ChatRequest } from "@weir/dialects";
import type { Call, ChatInput, EmbedInput } from "../domain/call.ts";
import type { RuleFacts } from "../domain/route-table.ts";
import { type Dialects, type ProviderDialects, Preparation } from "./prepare.ts";
import { hasMedia, textsOfRequest } from "./usage.ts";

/**
 * A request as a route's rules see it. It is read only where a rule asks for what is in it; one that cannot be read has nothing in it, and
 * is refused by whoever would send it.
 */
export function ruleFacts(
  dialects: { readonly dialects: Dialects; readonly wires: ProviderDialects },
  call: Call,
  input: ChatInput | EmbedInput,
  stream: boolean,
): RuleFacts {
  let known: ChatRequest | undefined;
  let looked = false;
  const core = (): ChatRequest | undefined => {
    if (looked) return known;
    looked = true;
    try {
      const isChat = input.kind === "raw" ? "dialect" in input : "messages" in input.request;
      if (isChat) known = new Preparation(dialects, input as ChatInput, call, stream).core;
    } catch {
      // Told to its client when it is to be sent.
    }
    return known;
  };
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
      const format = core()?.responseFormat;
      return format !== undefined && format.type !== "text";
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
