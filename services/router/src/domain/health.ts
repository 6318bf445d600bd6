/**
 * Whether a target may be called, and whether a failure of it may be tried elsewhere.
 * - Cooling: a provider that says "not now" (429, 529, quota) is left alone for as long as it says, at most a minute.
 * - Breaker: after five failures in a row a target is left alone, for 5 s at first and up to 60 s; then one request probes it.
 * - Retry budget: each attempt that follows a failure of a target costs it a token. Ten to begin with, a fifth more for each success, so
 *   that all attempts <= 1.2 × requests + 10 × targets. What follows a failed probe is free: the breaker's clock limits those.
 * A target that is left alone costs no attempt.
 */
import type { Reason } from "@weir/kernel";

export interface Health {
  /** In a row. */
  readonly failures: number;
  /** The breaker is open until then; 0: closed. */
  readonly openUntilMs: number;
  /** How often it opened in a row. */
  readonly opens: number;
  /** A request is probing it. */
  readonly probing: boolean;
  readonly coolingUntilMs: number;
  /** Why it was last left alone. */
  readonly reason: Reason | undefined;
  readonly retryTokens: number;
}

const BURST = 10;
const PER_SUCCESS = 0.2;
const FAILURES_TO_OPEN = 5;
const OPEN_MS = 5_000;
const MAX_OPEN_MS = 60_000;
const MAX_COOLING_MS = 60_000;
/** Where the provider does not say for how long. */
const COOLING_MS: Partial<Record<Reason, number>> = {
  provider_rate_limited: 1_000,
  provider_overloaded: 2_000,
  provider_quota: 60_000,
};

export const healthy: Health = {
  failures: 0,
  openUntilMs: 0,
  opens: 0,
  probing: false,
  coolingUntilMs: 0,
  reason: undefined,
  retryTokens: BURST,
};

export type Availability = "ready" | "probe" | { readonly waitMs: number; readonly reason: Reason };

export function availability(health: Health, nowMs: number): Availability {
  // The common case first: this runs for every request.
  if (health.coolingUntilMs === 0 && health.openUntilMs === 0) return "ready";
  const until = Math.max(health.coolingUntilMs, health.openUntilMs);
  if (nowMs < until) return { waitMs: until - nowMs, reason: health.reason ?? "provider_error" };
  if (health.openUntilMs === 0) return "ready";
  return health.probing ? { waitMs: OPEN_MS, reason: health.reason ?? "provider_error" } : "probe";
}

export const probing = (health: Health): Health => ({ ...health, probing: true });

/** A probe that was cancelled, or failed by no fault of the target, tells nothing: the next request probes. */
export const unprobed = (health: Health): Health => (health.probing ? { ...health, probing: false } : health);

export function succeeded(health: Health): Health {
  // The same object for a target that was well already: nothing is made for the usual request.
  if (health.failures === 0 && health.openUntilMs === 0 && health.coolingUntilMs === 0 && health.retryTokens === BURST)
    return health;
  return { ...healthy, retryTokens: Math.min(BURST, health.retryTokens + PER_SUCCESS) };
}

/** Its own failures: what a target is left alone for. Others (a rejected request, a cancelled one) say nothing about it. */
export const isFailureOfTarget = (reason: Reason): boolean =>
  reason === "provider_error" ||
  reason === "provider_unreachable" ||
  reason === "provider_timeout" ||
  reason === "provider_bad_response" ||
  reason === "stream_interrupted";

export function failed(health: Health, reason: Reason, retryAfterMs: number | undefined, nowMs: number): Health {
  const cooling = COOLING_MS[reason];
  if (cooling !== undefined) {
    const until = nowMs + Math.min(retryAfterMs ?? cooling, MAX_COOLING_MS);
    return { ...unprobed(health), coolingUntilMs: Math.max(health.coolingUntilMs, until), reason };
  }
  if (!isFailureOfTarget(reason)) return unprobed(health);
  const failures = health.failures + 1;
  const opens = failures >= FAILURES_TO_OPEN || health.probing;
  if (!opens) return { ...health, failures, reason };
  const openMs = Math.min(MAX_OPEN_MS, OPEN_MS * 2 ** health.opens);
  return { ...health, failures, probing: false, opens: health.opens + 1, openUntilMs: nowMs + openMs, reason };
}

/** Takes what an attempt after a failure of this target costs. @returns undefined where nothing is left */
export function spendRetry(health: Health, afterProbe: boolean): Health | undefined {
  if (afterProbe) return health;
  return health.retryTokens < 1 ? undefined : { ...health, retryTokens: health.retryTokens - 1 };
}
