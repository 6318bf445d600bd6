import { WeirError } from "@weir/kernel";
import type { KeyTerms } from "./key-chain.ts";
import type { KeyPolicy, Scope } from "./key-policy.ts";
import { mergeRules, type Rules } from "./rules.ts";

/** Keys that live for minutes or hours, below the one they were minted from. */
export const DEFAULT_TTL_MS = 3_600_000;
export const LONGEST_TTL_MS = 86_400_000;
const SHORTEST_TTL_MS = 60_000;
/** A child's child's child's child has no children. */
const MOST_ANCESTORS = 4;

/** What a short-lived key may at most be good for: whoever administers needs a key of its own. */
export const MINTABLE: readonly Scope[] = ["inference", "read"];

export interface AskedTerms {
  readonly ttlMs: number | undefined;
  /** Empty: what the parent has of MINTABLE. */
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  /** "": the parent's, or none. */
  readonly endUser: string;
}

/**
 * What is written down for a key that is minted from another. Narrower than the parent by itself, so that it is even where somebody
 * forgets to look at the parent; `termsOfChain` looks again, each time the parent changes.
 * @throws WeirError permission_denied, invalid_request
 */
export function mintable(parent: KeyPolicy, asked: AskedTerms, defaultTtlMs: number, nowMs: number): KeyTerms {
  if (parent.ancestors.length >= MOST_ANCESTORS) throw denied("This key stands too far down to mint others.");
  const own = MINTABLE.filter((scope) => parent.scopes.includes(scope));
  const lacking = asked.scopes.find((scope) => !own.includes(scope));
  if (lacking !== undefined) throw denied(`This key cannot mint one with the scope "${lacking}".`);
  const scopes = asked.scopes.length === 0 ? own : [...new Set(asked.scopes)];
  if (scopes.length === 0) throw denied("This key has no scope that a short-lived one could have.");
  if (parent.endUser !== "" && asked.endUser !== "" && asked.endUser !== parent.endUser)
    throw denied("This key is for one end user; it cannot mint one for another.");
  const ttlMs = asked.ttlMs ?? defaultTtlMs;
  if (ttlMs < SHORTEST_TTL_MS || ttlMs > LONGEST_TTL_MS) {
    throw new WeirError("invalid_request", "A short-lived key lives from a minute to a day.", {
      param: "terms.ttl_ms",
    });
  }
  return {
    scopes,
    rules: mergeRules([parent.keyRules, asked.rules]),
    expiresAtMs: Math.min(nowMs + ttlMs, parent.expiresAtMs ?? Infinity),
    endUser: parent.endUser || asked.endUser,
  };
}

const denied = (message: string): WeirError => new WeirError("permission_denied", message);
