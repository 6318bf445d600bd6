import type { ServiceImpl } from "@connectrpc/connect";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { common, ingress } from "@weir/contracts";
import type { Price } from "@weir/pricing";
import { factsFor } from "../domain/model-facts.ts";
import { clientIpOf, letIn, type RpcFlows, secretOf } from "./caller.ts";

/** Optional fields that are not there are left out: to the contract that is something else than undefined. */
function priceInit({ tiers, tools, batchPercent = 0, ...rates }: Price): MessageInitShape<typeof common.PriceSchema> {
  const known = { ...allKnown(rates), batchPercent, tiers: tiers.map(allKnown) };
  return tools === undefined ? known : { ...known, tools: allKnown(tools) };
}

type Known<T> = { [Name in keyof T]: Exclude<T[Name], undefined> };
const allKnown = <T extends object>(fields: T): Known<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Known<T>;

export function listModels(flows: RpcFlows): ServiceImpl<typeof ingress.GatewayService>["listModels"] {
  return (_request, context) => {
    const grant = letIn(flows, context, ({ route }) =>
      flows.identify(secretOf(context), clientIpOf(flows, context), route),
    );
    const models = factsFor(flows.models.list(), grant, flows.clock.nowMs());
    return {
      models: models.map(({ price, providers, regions, capabilities, ...facts }) => ({
        ...facts,
        providers: [...providers],
        regions: [...regions],
        capabilities: [...capabilities],
        ...(price === undefined ? {} : { price: priceInit(price) }),
      })),
    };
  };
}
