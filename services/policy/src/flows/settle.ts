import type { KeyPolicy } from "../domain/key-policy.ts";
import { type LimitFacts, limitFactsOf, mayTakeBudget } from "../domain/path.ts";
import type { Settlement, SettlementResult } from "../domain/ledger.ts";
import { type Ledger, recordOfAttempt, type TokensUsed, type Use } from "../ports.ts";
import type { Limiter } from "./limiter.ts";

/** A settlement and whose request it was; "" where the caller does not know. */
export interface KeyedSettlement extends Settlement {
  readonly keyId: string;
  /** Which of a charge's tokens were read and which written; undefined: nobody told. */
  readonly parts: TokensUsed["parts"];
  /** Of a void: no provider was asked at all. */
  readonly notCalled: boolean;
}

export interface SettleDependencies {
  readonly ledger: Ledger;
  readonly limiter: Pick<Limiter, "settle" | "giveBack">;
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
  const limits = new LimitSettlements();
  const isBooked = settlements.map((settlement) => {
    const key = keyOf(settlement.keyId);
    // A budget that is taken away leaves its mark, so where there is none now there was none when the request was admitted.
    const mayBeHeld = key === undefined || mayTakeBudget(key);
    if (mayBeHeld) booked.push(settlement);
    if (key !== undefined) limits.add(settlement, limitFactsOf(key));
    return mayBeHeld;
  });
  const [results] = await Promise.all([booked.length === 0 ? [] : ledger.settle(booked), limits.settle(limiter)]);
  for (const [at, result] of results.entries()) if (result.aboveBound) onAboveBound(booked[at] as Settlement);
  let at = 0;
  return isBooked.map((was) => (was ? (results[at++] as SettlementResult) : NOTHING_HELD));
}

/** What a batch of settlements is to the limits. */
class LimitSettlements {
  readonly #uses: Use[] = [];
  readonly #giveBack: string[] = [];

  add(settlement: KeyedSettlement, { tokens, slots, provider }: LimitFacts): void {
    const { requestId, attempt, notCalled } = settlement;
    const ofAttempt = recordOfAttempt(requestId, attempt);
    if (notCalled) {
      if (attempt === 1) this.#giveBack.push(requestId);
      if (provider !== "none") this.#giveBack.push(ofAttempt);
      return;
    }
    const used = tokensOf(settlement);
    // The first attempt is settled when its request is over.
    const over = slots && attempt === 1;
    const corrects = tokens && (used?.total !== 0 || attempt === 1);
    if (corrects || over) this.#uses.push({ id: requestId, attempt, tokens: corrects ? used : undefined, over });
    if (provider !== "none") this.#uses.push({ id: ofAttempt, attempt, tokens: used, over: true });
  }

  async settle(limiter: SettleDependencies["limiter"]): Promise<void> {
    if (this.#uses.length > 0) await limiter.settle(this.#uses);
    if (this.#giveBack.length > 0) await limiter.giveBack(this.#giveBack);
  }
}

/**
 * Undefined: nobody knows, so the estimate stays. A further attempt that used nothing says nothing of the request's estimate, which is the
 * first one's: it must not be taken for the correction of that.
 */
function tokensOf({ outcome, parts }: KeyedSettlement): TokensUsed | undefined {
  if (outcome === "at-bound") return undefined;
  if (outcome === "void") return NONE;
  const total = Math.min(MOST_TOKENS, Number(outcome.tokens));
  if (parts === undefined) return total === 0 ? NONE : { total, parts };
  return { total, parts: { input: Math.min(MOST_TOKENS, parts.input), output: Math.min(MOST_TOKENS, parts.output) } };
}

const NONE: TokensUsed = { total: 0, parts: { input: 0, output: 0 } };
