/**
 * What follows an attempt that failed before its client saw anything: the next candidate, or the answer is this failure.
 * A provider's 4xx and an exhausted quota are never retried anywhere; 429 and overload only elsewhere (the target cools meanwhile).
 */
import type { Reason } from "@weir/kernel";

export type Decision = "next" | "give-up";

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

export const decide = (reason: Reason): Decision => (NEXT.has(reason) ? "next" : "give-up");

/** Full jitter before the same target is called again: it had no time to recover. */
export const pauseMs = (draw: number, retry: number): number => draw * Math.min(2_000, 200 * 2 ** retry);
