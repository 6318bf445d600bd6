/**
 * Whether a target may be called, and whether a failure of it may be tried elsewhere.
 * - Cooling: a provider that says "not now" (429, 529, quota) is left alone for as long as it says, at most a minute.
 * - Breaker: after five failures in a row, or when half of its calls lately failed or were too slow, a target is left alone, for 5 s at first
 *   and up to 60 s; then one request probes it, of all replicas together where they share what they know. One that comes back gets a tenth of
 *   its requests at first and all of them after half a minute: a crowd would throw it down again.
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
  /** When it came back from being left alone; 0: never, or long ago. */
  readonly backAtMs: number;
}

const BURST = 10;
const RETURN_MS = 30_000;
const FIRST_SHARE = 0.1;
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
  backAtMs: 0,
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

export type BreakerState = "closed" | "open" | "half_open";

export const breakerState = ({ openUntilMs, probing: isProbing }: Health): BreakerState =>
  openUntilMs === 0 ? "closed" : isProbing ? "half_open" : "open";

export const probing = (health: Health): Health => ({ ...health, probing: true });

/** A probe that was cancelled, or failed by no fault of the target, tells nothing: the next request probes. */
export const unprobed = (health: Health): Health => (health.probing ? { ...health, probing: false } : health);

export function succeeded(health: Health, nowMs: number): Health {
  // The same object for a target that was well already: nothing is made for the usual request.
  if (
    health.failures === 0 &&
    health.openUntilMs === 0 &&
    health.coolingUntilMs === 0 &&
    health.retryTokens === BURST &&
    health.backAtMs === 0
  )
    return health;
  const back = health.openUntilMs === 0 ? health.backAtMs : nowMs;
  return {
    ...healthy,
    retryTokens: Math.min(BURST, health.retryTokens + PER_SUCCESS),
    backAtMs: back !== 0 && nowMs - back < RETURN_MS ? back : 0,
  };
}

/** What part of its requests a target should get that came back a while ago. */
export const returningShare = ({ backAtMs }: Health, nowMs: number): number =>
  backAtMs === 0 ? 1 : Math.min(1, FIRST_SHARE + ((1 - FIRST_SHARE) * Math.max(0, nowMs - backAtMs)) / RETURN_MS);

/** Its own failures: what a target is left alone for. Others (a rejected request, a cancelled one) say nothing about it. */
export const isFailureOfTarget = (reason: Reason): boolean =>
  reason === "provider_error" ||
  reason === "provider_unreachable" ||
  reason === "provider_timeout" ||
  reason === "provider_bad_response" ||
  reason === "stream_interrupted";

/** @param tooMany of its calls lately went wrong */
export function failed(
  health: Health,
  reason: Reason,
  retryAfterMs: number | undefined,
  nowMs: number,
  tooMany = false,
): Health {
  const cooling = COOLING_MS[reason];
  if (cooling !== undefined) {
    const until = nowMs + Math.min(retryAfterMs ?? cooling, MAX_COOLING_MS);
    return { ...unprobed(health), coolingUntilMs: Math.max(health.coolingUntilMs, until), reason };
  }
  if (!isFailureOfTarget(reason)) return unprobed(health);
  const failures = health.failures + 1;
  const opens = failures >= FAILURES_TO_OPEN || health.probing || tooMany;
  return opens ? opened({ ...health, failures }, reason, nowMs) : { ...health, failures, reason };
}

/** It answers, and too slowly. */
export const tooSlow = (health: Health, nowMs: number): Health => opened(health, "provider_timeout", nowMs);

function opened(health: Health, reason: Reason, nowMs: number): Health {
  const openMs = Math.min(MAX_OPEN_MS, OPEN_MS * 2 ** health.opens);
  return { ...health, probing: false, opens: health.opens + 1, openUntilMs: nowMs + openMs, backAtMs: 0, reason };
}

/** Nobody answered at its provider's address, time after time: left alone for as long as that is found again and again. */
export const checkFailed = (health: Health, nowMs: number, openMs: number): Health => ({
  ...health,
  probing: false,
  opens: Math.max(1, health.opens),
  openUntilMs: Math.max(health.openUntilMs, nowMs + openMs),
  backAtMs: 0,
  reason: "provider_unreachable",
});

/** Its provider answers: the next request probes it, however long it was to be left alone. */
export const checkPassed = (health: Health, nowMs: number): Health =>
  health.openUntilMs > nowMs ? { ...health, openUntilMs: nowMs } : health;

/** What replicas tell each other of a target: times are durations, as their clocks differ. */
export interface HealthNews {
  /** 0: it is well. */
  readonly openMs: number;
  readonly opens: number;
  readonly coolingMs: number;
  readonly reason: Reason | undefined;
}

export const newsOf = (health: Health, nowMs: number): HealthNews => ({
  openMs: health.openUntilMs === 0 ? 0 : Math.max(1, health.openUntilMs - nowMs),
  opens: health.opens,
  coolingMs: Math.max(0, health.coolingUntilMs - nowMs),
  reason: health.reason,
});

/** Another replica's word counts as one's own: what it found out need not be found out again, neither that a target fails nor that it is back. */
export function heard(health: Health, news: HealthNews, nowMs: number): Health {
  const coolingUntilMs = Math.max(health.coolingUntilMs, news.coolingMs > 0 ? nowMs + news.coolingMs : 0);
  if (news.openMs > 0) {
    const openUntilMs = Math.max(health.openUntilMs, nowMs + news.openMs);
    const opens = Math.max(health.opens, news.opens);
    return { ...health, coolingUntilMs, openUntilMs, opens, probing: false, backAtMs: 0, reason: news.reason };
  }
  if (health.openUntilMs === 0) return news.coolingMs > 0 ? { ...health, coolingUntilMs, reason: news.reason } : health;
  return { ...healthy, retryTokens: health.retryTokens, coolingUntilMs, backAtMs: nowMs };
}

/** Takes what an attempt after a failure of this target costs. @returns undefined where nothing is left */
export function spendRetry(health: Health, afterProbe: boolean): Health | undefined {
  if (afterProbe) return health;
  return health.retryTokens < 1 ? undefined : { ...health, retryTokens: health.retryTokens - 1 };
}
