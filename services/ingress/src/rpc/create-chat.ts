import type { ServiceImpl } from "@connectrpc/connect";
import type { common, ingress } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { receiptOf, receive, type RpcFlows, told } from "./caller.ts";

export function createChat(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["createChat"] {
  return async (request, context) => {
    const chat = request.chat;
    if (chat === undefined) throw new WeirError("invalid_request", "The request has no chat.", { param: "chat" });
    const received = receive(flows, context, { case: "chat", value: chat }, false, request.tags);
    const { incoming, trail, gone } = received;
    return told(flows, received, async () => {
      const output = await flows.complete(incoming, trail, gone.signal);
      if (trail.result?.error !== undefined) throw trail.result.error;
      if (output.kind !== "typed") throw new Error("a typed call was answered with bytes");
      return { chat: output.value as common.ChatResponse, receipt: receiptOf(trail) };
    });
  };
}
