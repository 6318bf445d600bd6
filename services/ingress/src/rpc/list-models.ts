import type { ServiceImpl } from "@connectrpc/connect";
import type { ingress } from "@weir/contracts";
import { showsModel } from "../domain/grant.ts";
import { clientIpOf, letIn, type RpcFlows, secretOf } from "./caller.ts";

export function listModels(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["listModels"] {
  return (_request, context) => {
    const grant = letIn(flows, context, ({ route }) =>
      flows.identify(secretOf(context), clientIpOf(flows, context), route),
    );
    return { models: flows.models.list().filter(({ id }) => showsModel(grant, id)) };
  };
}
