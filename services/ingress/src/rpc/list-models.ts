import type { ServiceImpl } from "@connectrpc/connect";
import type { ingress } from "@weir/contracts";
import { modelAllowed } from "../domain/key.ts";
import { type RpcFlows, secretOf } from "./caller.ts";

export function listModels(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["listModels"] {
  return (_request, context) => {
    const { key } = flows.identify(secretOf(context));
    return { models: flows.models.list().filter(({ id }) => modelAllowed(key.rules, id)) };
  };
}
