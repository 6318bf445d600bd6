import { ingress } from "@weir/contracts";
import { type Route, route } from "@weir/mesh";
import { createChat } from "./create-chat.ts";
import { createEmbedding } from "./create-embedding.ts";
import type { RpcFlows } from "./caller.ts";
import { listModels } from "./list-models.ts";
import { streamChat } from "./stream-chat.ts";

/** GatewayService: the facade's flows for callers with generated clients. */
export function gatewayRoutes(flows: RpcFlows): Route[] {
  return [
    route(ingress.GatewayService, {
      createChat: createChat(flows),
      streamChat: streamChat(flows),
      createEmbedding: createEmbedding(flows),
      listModels: listModels(flows),
    }),
  ];
}
