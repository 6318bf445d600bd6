import type { ModelConfig, PriceConfig, ProviderConfig, WeirConfig } from "@weir/config";
import { flatPrice, type Price } from "@weir/pricing";
import type { AliasConfig } from "./domain/route-table.ts";

/** What the router takes from the configuration. */
export interface RouterConfig {
  readonly providers: readonly ProviderConfig[];
  readonly aliases: ReadonlyMap<string, AliasConfig>;
}

export function routerConfigOf(config: Pick<WeirConfig, "providers" | "models">): RouterConfig {
  return {
    providers: [...config.providers.values()],
    aliases: new Map([...config.models].map(([name, model]) => [name, aliasOf(model)])),
  };
}

function aliasOf(model: ModelConfig): AliasConfig {
  const { name, strategy, targets, fallbacks, price, contextWindow, maxOutputTokens: maxOutput } = model;
  return {
    name,
    strategy,
    targets,
    fallbacks,
    price: price === undefined ? undefined : configuredPrice(price),
    contextWindow,
    maxOutput,
  };
}

const configuredPrice = ({ requestNanos, ...rates }: PriceConfig): Price => flatPrice(rates, "config", requestNanos);
