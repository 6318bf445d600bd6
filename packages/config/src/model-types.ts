import type { PriceConfig } from "./types.ts";

export type Strategy =
  | "priority"
  | "weighted"
  | "round-robin"
  | "cost"
  | "latency"
  | "least-busy"
  | "capability"
  | "sticky";

export interface ModelConfig {
  readonly name: string;
  /** Each orders those targets that the ones before it hold equal. */
  readonly strategies: readonly Strategy[];
  readonly targets: readonly { readonly provider: string; readonly model: string; readonly weight: number }[];
  /** Other models' names, tried in order. */
  readonly fallbacks: readonly string[];
  /** The first whose CEL expression over `request` is true says which other model is used. */
  readonly rules: readonly { readonly when: string; readonly use: string }[];
  /** How long equal requests get the same answer; undefined: never. */
  readonly cacheMs: number | undefined;
  /** Questions that are alike get the same answer, too. */
  readonly semanticCache?: SemanticCacheConfig | undefined;
  /** A second attempt beside one that takes so long; `budget`: hedges to requests. */
  readonly hedge?: { readonly afterMs: number | "p95"; readonly budget: number } | undefined;
  /** Gets its part of the requests before all others, which stand in for it. */
  readonly canary: { readonly provider: string; readonly model: string; readonly percent: number } | undefined;
  /** Gets copies of its part of the requests, whose answers nobody sees. */
  readonly shadow?: ShadowConfig | undefined;
  /** Over the price book. */
  readonly price: PriceConfig | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutputTokens: number | undefined;
}

export interface ShadowConfig {
  readonly provider: string;
  readonly model: string;
  readonly percent: number;
  /** The key that pays for the copies. */
  readonly keyId: string;
  /** Copies of one ingress at a time. */
  readonly maxConcurrent: number;
}

export interface SemanticCacheConfig {
  /** Makes vectors of questions: a name as clients use them. */
  readonly embeddingModel: string;
  /** The least cosine. */
  readonly threshold: number;
  readonly ttlMs: number;
  /** Of a workspace. */
  readonly maxEntries: number;
}
