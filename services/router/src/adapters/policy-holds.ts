import type { Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import type { Holds } from "../ports.ts";

const TIMEOUT_MS = 2_000;

/**
 * Holds of further attempts, asked of the policy service. Closed on failure: without an answer the attempt is not made, and what may be held
 * all the same is given back (a void that comes before its hold takes its place).
 */
export function policyHolds(
  client: () => Client<typeof policy.PolicyService>,
  onError: (error: unknown) => void,
): Holds {
  const release: Holds["release"] = async ({ owner, keyId, requestId, attempt }) => {
    const settlements = [{ requestId, attempt, keyId, outcome: { case: "void" as const, value: {} } }];
    try {
      await client().settleBatch({ owner, settlements }, { timeoutMs: TIMEOUT_MS });
    } catch (error) {
      // Held until the ingress that owns it starts again.
      onError(error);
    }
  };
  return {
    release,
    async extend({ owner, keyId, requestId, attempt, costNanos, tokens }): Promise<WeirError | undefined> {
      const bound = { costNanos, tokens: BigInt(tokens.inputTokens + tokens.outputTokens) };
      try {
        const { verdict } = await client().extend(
          { owner, keyId, requestId, attempt, bound },
          { timeoutMs: TIMEOUT_MS },
        );
        if (verdict.case === "admitted") return undefined;
        return new WeirError("budget_exceeded", "The budget does not allow another attempt.");
      } catch (cause) {
        void release({ owner, keyId, requestId, attempt });
        return new WeirError("policy_unavailable", "Another attempt could not be held.", { cause });
      }
    },
  };
}
