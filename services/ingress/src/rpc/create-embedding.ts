import type { ServiceImpl } from "@connectrpc/connect";
import type { common, ingress } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { receiptOf, receive, type RpcFlows, told } from "./caller.ts";

export function createEmbedding(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["createEmbedding"] {
  return async (request, context) => {
    const embed = request.embed;
    if (embed === undefined) throw new WeirError("invalid_request", "The request has no inputs.", { param: "embed" });
    const received = receive(flows, context, { case: "embed", value: embed }, false, request.tags);
    const { incoming, trail, gone } = received;
    return told(flows, received, async () => {
      const output = await flows.embed(incoming, trail, gone.signal);
      if (trail.result?.error !== undefined) throw trail.result.error;
      if (output.kind !== "typed") throw new Error("a typed call was answered with bytes");
      return { embed: output.value as common.EmbedResponse, receipt: receiptOf(trail) };
    });
  };
}
