import type { PriceConfig } from "@weir/config";
import { fingerprint, flatPrice, noFees, type Price, type PriceTier } from "@weir/pricing";

/** A price as an operator writes it; what it leaves out is as `flatPrice` says. */
export function configuredPrice(of: PriceConfig, version: string): Price {
  const { requestNanos, batchPercent = 0, tiers = [], tools, ...rates } = of;
  return {
    ...flatPrice(rates, version, requestNanos),
    batchPercent,
    tiers: tiers.map(({ aboveInputTokens, ...tier }): PriceTier => ({ ...flatPrice(tier, ""), aboveInputTokens })),
    tools: tools && { ...noFees, ...tools, previewSearchNanos: tools.webSearchNanos },
  };
}

/** The operator's price in place of a published one, of which the fees of tools stay where the operator names none. */
export function overriding(own: Price, published: Price | undefined): Price {
  const price = { ...own, tools: own.tools ?? published?.tools };
  return { ...price, version: `${own.version}#${fingerprint(price)}` };
}
