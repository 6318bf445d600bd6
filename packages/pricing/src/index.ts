export {
  BUNDLED,
  emptyPriceBook,
  loadPriceBook,
  type ModelFacts,
  type PriceBook,
  type PriceFrom,
  readPriceBook,
} from "./book.ts";
export {
  boundOf,
  costBoundOf,
  FRAMING_TOKENS,
  INSTRUCTION_TOKENS,
  type MediaCounts,
  noMedia,
  type RequestSize,
  type TokenBound,
  tokensBoundOf,
} from "./bound.ts";
export { type Capabilities, capabilitiesOf } from "./catalogue.ts";
export { fingerprint } from "./fingerprint.ts";
export { type Contract, type DatedPrice, planOf, priceAt, type PricePlan, samePrice } from "./plan.ts";
export {
  costOf,
  flatPrice,
  type PartialRates,
  type Price,
  type PriceTier,
  type Rates,
  type TokenUsage,
  versionFor,
} from "./price.ts";
export { anyTools, noFees, type ToolBound, type ToolCalls, toolCostBound, type ToolFees } from "./tools.ts";
