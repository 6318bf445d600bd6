/** What came of looking into the cache, on the wire and in the domain. */
import { router } from "@weir/contracts";
import type { CacheOutcome, CacheUse } from "../domain/call.ts";

const MISSES: Readonly<Record<router.CacheMiss, CacheOutcome>> = {
  [router.CacheMiss.UNSPECIFIED]: "miss",
  [router.CacheMiss.ABSENT]: "miss",
  [router.CacheMiss.STALE]: "stale",
  [router.CacheMiss.BYPASS]: "bypass",
};

const WIRE: Readonly<Record<CacheOutcome, Pick<router.CacheUse, "hit" | "kind" | "miss">>> = {
  hit: { hit: true, kind: router.CacheKind.EXACT, miss: router.CacheMiss.UNSPECIFIED },
  "semantic-hit": { hit: true, kind: router.CacheKind.SEMANTIC, miss: router.CacheMiss.UNSPECIFIED },
  miss: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.ABSENT },
  stale: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.STALE },
  bypass: { hit: false, kind: router.CacheKind.UNSPECIFIED, miss: router.CacheMiss.BYPASS },
};

export function cacheUseOf({ hit, kind, miss, ageMs, savedNanos, similarity }: router.CacheUse): CacheUse {
  const outcome = hit ? (kind === router.CacheKind.SEMANTIC ? "semantic-hit" : "hit") : (MISSES[miss] ?? "miss");
  return { outcome, ageMs: Number(ageMs), savedNanos, similarity };
}

export const cacheMessage = ({ outcome, ageMs, savedNanos, similarity }: CacheUse): router.CacheUse => ({
  $typeName: "weir.router.v1.CacheUse",
  ...WIRE[outcome],
  ageMs: BigInt(Math.round(ageMs)),
  savedNanos,
  similarity,
});
