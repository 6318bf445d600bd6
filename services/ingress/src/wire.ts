/** The contract's typed messages that pass through the flows unseen, named once for the two ends that see them: rpc/ and the router's adapter. */
import type { common } from "@weir/contracts";
import type { Usage } from "@weir/dialects";

export type TypedInput = { case: "chat"; value: common.ChatRequest } | { case: "embed"; value: common.EmbedRequest };
export type TypedOutput = common.ChatResponse | common.EmbedResponse;
export type TypedEvent = common.ChatEvent;

/** A message's content type, in Prometheus' way. */
export const protobufType = (name: string): string => `application/protobuf; proto=${name}`;

/** A plain object with its type's name is a message: create() would cost more than writing it. */
export function usageMessage(usage: Usage | undefined): common.Usage | undefined {
  if (usage === undefined) return undefined;
  const message: common.Usage = {
    $typeName: "weir.common.v1.Usage",
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cachedInputTokens: usage.cachedInputTokens,
    cacheWriteTokens: usage.cacheWriteTokens,
    reasoningTokens: usage.reasoningTokens,
    estimated: usage.estimated,
    audioInputTokens: usage.audioInputTokens ?? 0,
    audioOutputTokens: usage.audioOutputTokens ?? 0,
    cacheWriteLongTokens: usage.cacheWriteLongTokens ?? 0,
    imageInputTokens: usage.imageInputTokens ?? 0,
    imageOutputTokens: usage.imageOutputTokens ?? 0,
    batch: usage.batch === true,
  };
  if (usage.toolCalls !== undefined) message.toolCalls = { $typeName: "weir.common.v1.ToolCalls", ...usage.toolCalls };
  return message;
}
