import type { Usage } from "@weir/dialects";
import type { WeirError } from "@weir/kernel";
import type { Attempt, CallResult, Served, StreamRates } from "./call.ts";

/** What attempts cost that are known to the end. */
export const accountOf = (attempts: readonly Attempt[]): Pick<CallResult, "attempts" | "costNanos"> => ({
  attempts,
  costNanos: attempts.reduce((sum, { costNanos }) => sum + costNanos, 0n),
});

/**
 * The account of a stream whose end nobody saw: the client left, or the router died. The provider bills what it sent, so the output
 * counts at its upper bound (a token has at least one byte) and is marked estimated. Without rates the attempt's billing is unknown and
 * its whole bound is charged.
 */
export function estimatedResult(
  error: WeirError,
  served: Served,
  rates: StreamRates | undefined,
  failedAttempts: readonly Attempt[],
  outputBytes: number,
  waitedUs: number,
): CallResult {
  const usage: Usage | undefined =
    rates === undefined
      ? undefined
      : {
          inputTokens: rates.inputTokens,
          outputTokens: outputBytes,
          cachedInputTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          estimated: true,
        };
  const costNanos = rates === undefined || usage === undefined ? 0n : rates.costOf(usage);
  return {
    served,
    usage,
    finishReason: undefined,
    attempts: [
      ...failedAttempts,
      {
        attempt: served.attempt,
        provider: served.provider,
        model: served.model,
        region: served.region,
        origin: served.origin,
        status: 200,
        error: error.reason,
        usage,
        costNanos,
        billing: usage === undefined ? "unknown" : "charged",
        durationUs: waitedUs,
      },
    ],
    error,
    dropped: [],
    headers: [],
    providerUs: waitedUs,
    firstTokenUs: 0,
    costNanos: costNanos + accountOf(failedAttempts).costNanos,
    priceVersion: rates?.priceVersion ?? "",
  };
}
