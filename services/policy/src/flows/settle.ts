import type { KeyPolicy } from "../domain/key-policy.ts";
import { mayTakeBudget, mayTakeTokens } from "../domain/path.ts";
import type { Settlement, SettlementResult } from "../domain/ledger.ts";
import type { Ledger, TokensUsed } from "../ports.ts";
import type { Limiter } from "./limiter.ts";

/** A settlement and whose request it was; "" where the caller does not know. */
export interface KeyedSettlement extends Settlement {
  readonly keyId: string;
}

export interface SettleDependencies {
  readonly ledger: Ledger;
  readonly limiter: Limiter;
  readonly keyOf: (keyId: string) => KeyPolicy | undefined;
  /** A charge above its bound: the bound was none, somebody must look. */
  readonly onAboveBound: (settlement: Settlement) => void;
}

const NOTHING_HELD: SettlementResult = { kind: "settled", aboveBound: false };

/** More tokens than that are no correction of a limit but an error, and exceed what the limits' arithmetic is exact for. */
const MOST_TOKENS = 2 ** 33;

/** @throws WeirError policy_unavailable: nothing is lost by settling again */
export async function settle(
  { ledger, limiter, keyOf, onAboveBound }: SettleDependencies,
  settlements: readonly KeyedSettlement[],
): Promise<SettlementResult[]> {
  const booked: Settlement[] = [];
  const used: TokensUsed[] = [];
  const isBooked = settlements.map((settlement) => {
    const key = keyOf(settlement.keyId);
    // Budgets are never removed from a path, so where there is none now there was none when the request was admitted.
    const mayBeHeld = key === undefined || mayTakeBudget(key);
    if (mayBeHeld) booked.push(settlement);
    if (key !== undefined && mayTakeTokens(key)) {
      const tokens = tokensOf(settlement);
      if (tokens !== undefined) used.push({ requestId: settlement.requestId, attempt: settlement.attempt, tokens });
    }
    return mayBeHeld;
  });
  const [results] = await Promise.all([
    booked.length === 0 ? [] : ledger.settle(booked),
    used.length === 0 ? undefined : limiter.settle(used),
  ]);
  for (const [at, result] of results.entries()) if (result.aboveBound) onAboveBound(booked[at] as Settlement);
  let at = 0;
  return isBooked.map((was) => (was ? (results[at++] as SettlementResult) : NOTHING_HELD));
}

/**
 * Undefined: nobody knows, so the estimate stays. A further attempt that used nothing says nothing of the estimate, which is the first one's:
 * it must not be taken for the correction of that.
 */
function tokensOf({ attempt, outcome }: Settlement): number | undefined {
  if (outcome === "at-bound") return undefined;
  if (outcome === "void") return attempt === 1 ? 0 : undefined;
  return outcome.tokens > BigInt(MOST_TOKENS) ? MOST_TOKENS : Number(outcome.tokens);
}
