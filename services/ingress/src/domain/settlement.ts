import type { Usage } from "@weir/dialects";
import type { Reason } from "@weir/kernel";
import type { Attempt } from "./call.ts";

export interface Amounts {
  readonly costNanos: bigint;
  readonly tokens: bigint;
}

/** What becomes of one attempt's hold. */
export type Charge =
  | { readonly kind: "charge"; readonly amounts: Amounts; readonly inputTokens: number; readonly outputTokens: number }
  /** `notCalled`: no provider was asked at all, so rate limits are given back, too. */
  | { readonly kind: "void"; readonly notCalled: boolean }
  | { readonly kind: "at-bound" };

export interface Settlement {
  readonly requestId: string;
  readonly attempt: number;
  readonly keyId: string;
  readonly charge: Charge;
}

/** As many attempts as the router makes at most, that at an embedding included (see router.proto). */
const POSSIBLE_ATTEMPTS = 5;

/**
 * For a call whose account was lost: the router died, or the client left before it answered. Any of its attempts may have been billed;
 * those that were never held are passed over.
 */
export function lostSettlements(requestId: string, keyId: string): Settlement[] {
  return Array.from({ length: POSSIBLE_ATTEMPTS }, (_, index) => ({
    requestId,
    attempt: index + 1,
    keyId,
    charge: { kind: "at-bound" as const },
  }));
}

const tokensOf = (usage: Usage | undefined): bigint =>
  usage === undefined ? 0n : BigInt(usage.inputTokens) + BigInt(usage.outputTokens);

/**
 * One settlement per attempt, and one for the first, which is held from the start, where it was not made: an answer of the cache may have cost
 * an embedding, and nothing else. An attempt that was sent and not answered may have been billed: it is charged at its bound, so that
 * no budget is ever exceeded on the provider's own ledger.
 * @param mayHaveTried where there are no attempts: whether that is because nobody told of them
 * @param error how it ended for its caller. What Weir's own limits kept from every provider takes nothing from other limits; what was not sent
 * for other reasons does: asking for nonsense, or leaving at once, is no way to ask without limit.
 */
export function settlementsOf(
  requestId: string,
  keyId: string,
  attempts: readonly Attempt[],
  mayHaveTried: boolean,
  error?: Reason,
): Settlement[] {
  if (attempts.length === 0) {
    return mayHaveTried
      ? lostSettlements(requestId, keyId)
      : [{ requestId, attempt: 1, keyId, charge: { kind: "void", notCalled: isOwnLimit(error) } }];
  }
  const settlements = attempts.map(
    (attempt): Settlement => ({ requestId, attempt: attempt.attempt, keyId, charge: chargeOf(attempt) }),
  );
  if (!attempts.some(({ attempt }) => attempt === 1))
    settlements.push({ requestId, attempt: 1, keyId, charge: { kind: "void", notCalled: isOwnLimit(error) } });
  return settlements;
}

const isOwnLimit = (error: Reason | undefined): boolean => error === "rate_limited" || error === "policy_unavailable";

function chargeOf(attempt: Attempt): Charge {
  switch (attempt.billing) {
    case "charged":
      return {
        kind: "charge",
        amounts: { costNanos: attempt.costNanos, tokens: tokensOf(attempt.usage) },
        inputTokens: attempt.usage?.inputTokens ?? 0,
        outputTokens: attempt.usage?.outputTokens ?? 0,
      };
    case "nothing":
      return { kind: "void", notCalled: false };
    case "unknown":
      return { kind: "at-bound" };
  }
}
