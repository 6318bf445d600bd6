/**
 * What attempts take, asked of the policy service. Closed on failure where something is to be held: without an answer the attempt is not made,
 * and what may be held all the same is given back (a void that comes before its hold takes its place). Where only limits per provider
 * are asked for, as the limits say: while policy is away, keys without a hard budget go on.
 */
import type { Client } from "@connectrpc/connect";
import { common, type policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { AskedAttempt, HeldAttempt, Holds } from "../ports.ts";

const TIMEOUT_MS = 2_000;
/** Of requests for which nothing is held. */
const NO_OWNER = "router";

export function policyHolds(
  client: () => Client<typeof policy.PolicyService>,
  onError: (error: unknown) => void,
): Holds {
  const release = async ({ owner, keyId, requestId, attempt }: HeldAttempt): Promise<void> => {
    const outcome = { case: "void" as const, value: { notCalled: true } };
    try {
      const settlements = [{ requestId, attempt, keyId, outcome }];
      await client().settleBatch({ owner: owner || NO_OWNER, settlements }, { timeoutMs: TIMEOUT_MS });
    } catch (error) {
      // Held until the ingress that owns it starts again.
      onError(error);
    }
  };
  return {
    release,
    async extend(asked: AskedAttempt): Promise<WeirError | undefined> {
      const { owner, keyId, requestId, attempt, costNanos, tokens, provider, failsClosed } = asked;
      const { inputTokens, outputTokens } = tokens;
      const bound = { costNanos, tokens: BigInt(inputTokens + outputTokens) };
      try {
        const { verdict } = await client().extend(
          { owner, keyId, requestId, attempt, bound, provider, inputTokens, outputTokens },
          { timeoutMs: TIMEOUT_MS },
        );
        return verdict.case === "admitted" ? undefined : refusalOf(verdict.value?.error);
      } catch (cause) {
        const holds = owner !== "" && attempt > 1;
        // The first one's hold is its request's, and ends with it.
        if (attempt > 1) void release(asked);
        if (!holds && !failsClosed) return undefined;
        const message = holds ? "Another attempt could not be held." : "Limits cannot be checked right now.";
        return new WeirError("policy_unavailable", message, { retryAfterMs: 1_000, cause });
      }
    },
  };
}

function refusalOf(error: common.ErrorDetail | undefined): WeirError {
  const retryAfterMs = error === undefined || error.retryAfterMs === 0 ? undefined : error.retryAfterMs;
  if (error?.reason === common.ErrorReason.RATE_LIMITED)
    return new WeirError("rate_limited", error.message, { retryAfterMs });
  if (error?.reason === common.ErrorReason.POLICY_UNAVAILABLE)
    return new WeirError("policy_unavailable", error.message, { retryAfterMs });
  return new WeirError("budget_exceeded", "The budget does not allow another attempt.");
}
