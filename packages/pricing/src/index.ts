export { emptyPriceBook, loadPriceBook, type ModelFacts, type PriceBook } from "./book.ts";
export {
  boundOf,
  costBoundOf,
  type MediaCounts,
  noMedia,
  type RequestSize,
  type TokenBound,
  tokensBoundOf,
} from "./bound.ts";
export { costOf, flatPrice, type Price, type PriceTier, type Rates, type TokenUsage } from "./price.ts";
