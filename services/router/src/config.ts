import { compileRule, type ContractConfig, type ModelConfig, type ProviderConfig, type WeirConfig } from "@weir/config";
import { type Contract } from "@weir/pricing";
import { configuredPrice } from "./config-prices.ts";
import type { AliasConfig } from "./domain/route-table.ts";

/** What the router takes from the configuration. */
export interface RouterConfig {
  readonly providers: readonly ProviderConfig[];
  readonly aliases: ReadonlyMap<string, AliasConfig>;
  readonly contracts: readonly Contract[];
}

/** Without contracts all pay the same. */
export type RouterSettings = Pick<WeirConfig, "providers" | "models"> &
  Partial<Pick<WeirConfig, "contracts" | "cache" | "meshToken">>;

/** What `reload` puts in force. */
export const ROUTER_SETTINGS = ["providers", "models", "contracts"] as const;

export function routerConfigOf(config: RouterSettings): RouterConfig {
  return {
    providers: [...config.providers.values()],
    aliases: new Map([...config.models].map(([name, model]) => [name, aliasOf(model)])),
    contracts: (config.contracts ?? []).map(contractOf),
  };
}

const contractOf = ({ price, discountBasisPoints, ...rest }: ContractConfig): Contract => ({
  ...rest,
  terms:
    price === undefined
      ? { kind: "discount", basisPoints: discountBasisPoints }
      : { kind: "price", price: configuredPrice(price, "contract") },
});

function aliasOf(model: ModelConfig): AliasConfig {
  const {
    name,
    strategies,
    targets,
    fallbacks,
    canary,
    shadow,
    hedge,
    price,
    contextWindow,
    maxOutputTokens: maxOutput,
  } = model;
  return {
    name,
    strategies,
    targets,
    fallbacks,
    rules: model.rules.map(({ when, use }) => ({ matches: compileRule(when), when, use })),
    canary,
    shadow:
      shadow === undefined
        ? undefined
        : {
            provider: shadow.provider,
            model: shadow.model,
            share: shadow.percent / 100,
            keyId: shadow.keyId,
            maxConcurrent: shadow.maxConcurrent,
          },
    cacheMs: model.cacheMs ?? 0,
    semantic: model.semanticCache,
    hedge,
    price: price === undefined ? undefined : configuredPrice(price, "config"),
    contextWindow,
    maxOutput,
  };
}
