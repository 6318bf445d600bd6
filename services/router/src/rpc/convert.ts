import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { common, router } from "@weir/contracts";
import type { EmbeddingsResponse } from "@weir/dialects";
import { type Clock, WeirError } from "@weir/kernel";
import type { Call, ChatInput, EmbedInput } from "../domain/call.ts";
import type { CallContext } from "../flows/attempts.ts";
import { coreRequest } from "./chat-request.ts";
import { dialectName } from "./names.ts";
import { usageMessage } from "./result.ts";

/** Answers are ready before the caller stops waiting, so that it learns what timed out. */
const SHAVED_MS = 50;

export function contextOf(context: HandlerContext, clock: Clock): CallContext {
  const left = context.timeoutMs();
  return {
    signal: context.signal,
    deadlineMs: left === undefined ? undefined : clock.monotonicMs() + Math.max(1, left - SHAVED_MS),
  };
}

/** @throws WeirError invalid_request */
export function callOf(call: router.Call | undefined): Call & Pick<router.Call, "input"> {
  if (call === undefined) throw new WeirError("invalid_request", "There is no call in this request.");
  // The message itself, and not a copy of its many fields.
  return Object.assign(call, { cacheable: CACHEABLE[call.cache] ?? ("off" as const) });
}

const CACHEABLE: Readonly<Record<common.CacheChoice, Call["cacheable"]>> = {
  [common.CacheChoice.UNSPECIFIED]: "semantic",
  [common.CacheChoice.OFF]: "off",
  [common.CacheChoice.EXACT]: "exact",
  [common.CacheChoice.SEMANTIC]: "semantic",
};

/** @throws WeirError invalid_request */
export function chatInputOf({ input }: Pick<router.Call, "input">, stream: boolean): ChatInput {
  if (input.case === "raw") {
    const { dialect, body } = input.value;
    return { kind: "raw", dialect: dialectName(dialect), body };
  }
  if (input.case === "chat") return { kind: "typed", request: coreRequest(input.value, stream) };
  throw new WeirError("invalid_request", "There is no chat in this call.");
}

/** @throws WeirError invalid_request */
export function embedInputOf({ input }: Pick<router.Call, "input">): EmbedInput {
  if (input.case === "raw" && input.value.dialect === common.Dialect.OPENAI_EMBEDDINGS)
    return { kind: "raw", body: input.value.body };
  if (input.case === "embed") {
    const { model, inputs, dimensions, user } = input.value;
    const request = { model, inputs, bare: false, dimensions, encoding: "float" as const, user: user || undefined };
    return { kind: "typed", request };
  }
  throw new WeirError("invalid_request", "There are no embeddings asked for in this call.");
}

export function embedMessage(response: EmbeddingsResponse): common.EmbedResponse {
  return create(common.EmbedResponseSchema, {
    model: response.model,
    embeddings: response.embeddings.map((vector) => ({ values: [...vector] })),
    ...(response.usage === undefined ? {} : { usage: usageMessage(response.usage) }),
  });
}
