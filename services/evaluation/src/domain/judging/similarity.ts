import type { SimilarityDefinition } from "../definition.ts";
import { type Judgment, scored, unjudged } from "./judgment.ts";

/** By the cosine of two embeddings; what points elsewhere (below zero) counts as zero. */
export function similarityOf({ passAt }: SimilarityDefinition, a: readonly number[], b: readonly number[]): Judgment {
  if (a.length === 0 || a.length !== b.length) return unjudged("embeddings-differ");
  const lengths = Math.hypot(...a) * Math.hypot(...b);
  const dot = a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
  const cosine = dot / lengths;
  if (!Number.isFinite(cosine)) return unjudged("embedding-without-direction");
  return scored(Math.min(1, Math.max(0, cosine)), passAt);
}
