/** Looks for the answer of a question that means the same. */
import type { Attempt } from "../domain/call.ts";
import type { CacheControl } from "../domain/cache-control.ts";
import type { KeptAnswer, QuestionSpace, SemanticCache } from "../ports.ts";
import type { EmbeddedQuestion } from "./embed-question.ts";

/** How a request uses the semantic cache. */
export interface SemanticCaching {
  readonly cache: SemanticCache;
  /** @param maker who made the vectors: those of another one cannot be compared with them, though they may be as long */
  readonly spaceOf: (maker: Pick<Attempt, "provider" | "model">) => QuestionSpace;
  /** Cosine. */
  readonly threshold: number;
  readonly ttlMs: number;
  readonly mostEntries: number;
  /** Never rejects. */
  readonly embed: (signal: AbortSignal) => Promise<EmbeddedQuestion>;
}

export interface Looked {
  /** What it cost to look. */
  readonly attempts: readonly Attempt[];
  /** Of the nearest; 0: there was none. */
  readonly similarity: number;
  readonly answer: KeptAnswer | undefined;
  /** Keeps what was got for this question. */
  readonly keep: (answer: KeptAnswer) => void;
}

export const NOT_LOOKED: Looked = { attempts: [], similarity: 0, answer: undefined, keep: () => undefined };

/** Never rejects. */
export async function lookedFor(
  { cache, spaceOf, threshold, ttlMs, mostEntries, embed }: SemanticCaching,
  control: CacheControl,
  nowMs: number,
  signal: AbortSignal,
): Promise<Looked> {
  const { vector, attempt } = await embed(signal);
  const attempts = attempt === undefined ? [] : [attempt];
  if (vector === undefined || attempt === undefined) return { ...NOT_LOOKED, attempts };
  const space = spaceOf(attempt);
  const keep = (answer: KeptAnswer): void => {
    // An answer that is complete in itself, and not one of many that are as good: no cut one, no call of a tool.
    if (answer.finishReason === "stop") cache.put(space, vector, answer, { ttlMs, mostEntries });
  };
  if (!control.read) return { attempts, similarity: 0, answer: undefined, keep };
  const wanted = { atLeast: threshold, madeFromMs: nowMs - Math.min(ttlMs, control.maxAgeMs) };
  const nearest = await cache.nearest(space, vector, wanted);
  if (nearest === undefined) return { attempts, similarity: 0, answer: undefined, keep };
  const { similarity } = nearest;
  const answer = nearest.answer && { ...nearest.answer, similarity };
  return { attempts, similarity: Math.max(0, similarity), answer, keep };
}
