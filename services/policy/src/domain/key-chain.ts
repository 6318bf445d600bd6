import type { Scope } from "./key-policy.ts";
import { mergeRules, type Rules } from "./rules.ts";

/** What one key was given; a key that was minted from another stands below it. */
export interface KeyTerms {
  readonly scopes: readonly Scope[];
  readonly rules: Rules;
  readonly expiresAtMs: number | undefined;
  /** Whom all its requests are for; "": each says so itself. */
  readonly endUser: string;
}

/**
 * What the last key of a chain may do: no more than any key above it, whatever was written down for it and however those above it
 * were changed since.
 * @param chain the first key first; not empty
 */
export function termsOfChain(chain: readonly KeyTerms[]): KeyTerms {
  return chain.reduce((above, own) => ({
    scopes: own.scopes.filter((scope) => above.scopes.includes(scope)),
    rules: mergeRules([above.rules, own.rules]),
    expiresAtMs: earlier(above.expiresAtMs, own.expiresAtMs),
    endUser: above.endUser || own.endUser,
  }));
}

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b);
