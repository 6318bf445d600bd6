/** The contract's typed messages that pass through the flows unseen, named once for the two ends that see them: rpc/ and the router's adapter. */
import type { common } from "@weir/contracts";

export type TypedInput = { case: "chat"; value: common.ChatRequest } | { case: "embed"; value: common.EmbedRequest };
export type TypedOutput = common.ChatResponse | common.EmbedResponse;
export type TypedEvent = common.ChatEvent;
