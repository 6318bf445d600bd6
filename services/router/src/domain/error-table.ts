/**
 * What follows an attempt that failed before its client saw anything: the next candidate, or the answer is this failure.
 * A provider's 4xx are never retried anywhere: the request is wrong. An exhausted quota is the account's, so only another provider, or another
 * credential, is asked, at once; 429 and overload cool the target and go elsewhere, too.
 */
import type { Reason } from "@weir/kernel";

/** `elsewhere`: the next candidate that is not the same account with the same provider. */
export type Decision = "next" | "elsewhere" | "give-up";

const NEXT: ReadonlySet<Reason> = new Set([
  "provider_error",
  "provider_unreachable",
  "provider_timeout",
  "provider_rate_limited",
  "provider_overloaded",
  "provider_bad_response",
  "stream_interrupted",
  // This router's own connections to that provider are all in use.
  "overloaded",
]);

export function decide(reason: Reason): Decision {
  if (reason === "provider_quota") return "elsewhere";
  return NEXT.has(reason) ? "next" : "give-up";
}

/** Full jitter before the same target is called again: it had no time to recover. */
export const pauseMs = (draw: number, retry: number): number => draw * Math.min(2_000, 200 * 2 ** retry);
