import { WeirError } from "@weir/kernel";
import type { PayloadChoice, Rules } from "@weir/rules";

export type Scope = "inference" | "read" | "admin" | "billing" | "organization-admin";

/** What counts a request, and what becomes of it where it cannot be counted. */
export interface Bounds {
  readonly hasHardBudget: boolean;
  readonly hasBudget: boolean;
  readonly hasLimit: boolean;
  readonly hasConcurrencyLimit: boolean;
  readonly hasProviderLimit: boolean;
  readonly providerLimitFailsClosed: boolean;
  /** Some budget counts calls that repeat within a run. */
  readonly countsCalls: boolean;
}

/** A key as policy pushed it: everything that is needed to let a request in or not, but for what must be counted. */
export interface Key extends Bounds {
  readonly id: string;
  readonly organizationId: string;
  readonly workspaceId: string;
  readonly workspace: string;
  readonly projectId: string;
  readonly name: string;
  /** 0: never. */
  readonly expiresAtMs: number;
  readonly scopes: readonly Scope[];
  /** Of its whole path, merged to the strictest. */
  readonly rules: Rules;
  /** The least that workspace and rules say. */
  readonly payloads: PayloadChoice;
  /** Whom all its requests are for, whatever they say; "": each says so itself. */
  readonly endUser: string;
}

export const keepsTexts = (payloads: PayloadChoice): boolean => payloads === "full" || payloads === "redacted";

/** How much the pushed keys can be trusted: see `freshness`. */
export type Freshness = "live" | "stale" | "expired" | "never";

/** A beat is due every 250 ms; after this long without one the view is stale. */
const STALE_AFTER_MS = 1_000;

/** What policy last said, on the monotonic clock. */
export interface Heard {
  /** When it last said anything. */
  readonly policyMs: number;
  /** Up to when it knew all that was committed. */
  readonly storeMs: number;
}

/**
 * For so long keys without a hard budget go on: the stated bounds of a revocation. Two, since they are two failures. A policy that says nothing
 * may have been told of a revocation that we do not hear of. A policy that says that its store is away is there, and while the store is down
 * nobody can revoke anything; the longer bound is for the replica that is cut off from a store which others still write to.
 */
export interface Grace {
  readonly policyMs: number;
  readonly storeMs: number;
}

/** @param heard undefined: not all keys were heard of yet */
export function freshness(heard: Heard | undefined, nowMs: number, grace: Grace): Freshness {
  if (heard === undefined) return "never";
  const unknownMs = nowMs - heard.storeMs;
  if (unknownMs <= STALE_AFTER_MS) return "live";
  if (nowMs - heard.policyMs > Math.max(grace.policyMs, STALE_AFTER_MS)) return "expired";
  return unknownMs <= Math.max(grace.storeMs, grace.policyMs) ? "stale" : "expired";
}

const away = (message: string): WeirError => new WeirError("policy_unavailable", message, { retryAfterMs: 1_000 });

/**
 * Whether this key may call at all. Fails closed: what cannot be known is 503, never 401, since a valid key must not be told that
 * it is wrong.
 * @throws WeirError
 */
export function authenticate(key: Key | undefined, known: Freshness, nowMs: number): Key {
  if (known === "never" || known === "expired") throw away("Keys cannot be checked right now.");
  if (key === undefined) {
    if (known === "stale") throw away("This key cannot be checked right now.");
    throw new WeirError("invalid_key", "This key is not known, or it was revoked.");
  }
  if (key.expiresAtMs !== 0 && nowMs >= key.expiresAtMs) throw new WeirError("expired_key", "This key has expired.");
  if (known === "stale" && key.hasHardBudget) throw away("Budgets cannot be checked right now.");
  return key;
}
