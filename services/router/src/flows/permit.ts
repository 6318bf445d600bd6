/**
 * What policy has to say before an attempt is made: whether its provider's limits have room for it, and, of further attempts, whether the
 * budgets do. The first attempt is held already. Nothing is asked for calls that have neither.
 */
import { nanos, WeirError } from "@weir/kernel";
import { costBoundOf, type Price, toolCostBound } from "@weir/pricing";
import type { Call } from "../domain/call.ts";
import { answerLimit } from "../domain/target.ts";
import type { HeldAttempt, Holds, RoutedTarget } from "../ports.ts";

const NOTHING = nanos(0n);

export const mustAsk = ({ holdOwner, providerLimits = false }: Call, attempt: number): boolean =>
  providerLimits || (attempt > 1 && holdOwner !== "");

export const held = ({ holdOwner: owner, holdKeyId: keyId, requestId }: Call, attempt: number): HeldAttempt => ({
  owner,
  keyId,
  requestId,
  attempt,
});

/** @returns why the attempt must not be made */
export async function permit(
  holds: Holds,
  call: Call,
  target: RoutedTarget,
  attempt: number,
  answers: () => number,
  price: Price | undefined,
): Promise<WeirError | undefined> {
  const { providerLimits = false, providerLimitsFailClosed: failsClosed = false } = call;
  const asked = { ...held(call, attempt), provider: providerLimits ? target.provider : "", failsClosed };
  const perAnswer = answerLimit(call.outputCap, target);
  if (attempt === 1 || call.holdOwner === "") {
    // Nothing is held: what is not known is not taken in advance, and comes with the settlement.
    const outputTokens = Number.isFinite(perAnswer) ? answers() * perAnswer : 0;
    return await holds.extend({ ...asked, tokens: { inputTokens: call.inputBound, outputTokens }, costNanos: 0n });
  }
  const inputTokens = call.inputBound > 0 ? call.inputBound : target.contextWindow;
  const tools = call.tools === undefined ? NOTHING : toolCostBound(call.tools, price?.tools);
  if (price === undefined || tools === undefined || inputTokens === undefined || !Number.isFinite(perAnswer))
    return new WeirError("price_unknown", `What ${target.provider}/${target.model} can cost is not known.`);
  const tokens = { inputTokens, outputTokens: answers() * perAnswer };
  return await holds.extend({ ...asked, tokens, costNanos: costBoundOf(tokens, price) + tools });
}

/** Refused for this provider alone: another may be asked. */
export const isAboutProvider = ({ reason }: WeirError, { providerLimits = false }: Call): boolean =>
  providerLimits && (reason === "rate_limited" || reason === "policy_unavailable");

/** What a caller is told where all are limited: when the first of them has room again. */
export function soonest(known: WeirError | undefined, other: WeirError): WeirError {
  if (known === undefined) return other;
  if (known.reason !== other.reason) return known.reason === "rate_limited" ? known : other;
  return (other.retryAfterMs ?? Infinity) < (known.retryAfterMs ?? Infinity) ? other : known;
}
