/** What is written down of attempts, and what callers are told where none was made. */
import { nanos, WeirError } from "@weir/kernel";
import type { Attempt } from "../domain/call.ts";
import type { AttemptFailure } from "../domain/failure.ts";
import type { RoutedTarget } from "../ports.ts";

const NOTHING = nanos(0n);

export function attemptOf(target: RoutedTarget, attempt: number, failure: AttemptFailure, durationMs: number): Attempt {
  return {
    provider: target.provider,
    model: target.model,
    region: target.region,
    origin: target.upstream.origin,
    attempt,
    status: failure.status,
    error: failure.error,
    usage: undefined,
    costNanos: NOTHING,
    billing: failure.billing,
    durationUs: Math.round(durationMs * 1000),
  };
}

/** Another one answered first. What it was sent may be billed. */
export function supersededFailure(failure: AttemptFailure | undefined): AttemptFailure {
  const error = new WeirError("hedge_lost", "Another attempt answered first.");
  return { error, status: failure?.status ?? 200, billing: failure?.billing ?? "unknown", answer: undefined };
}

/** It cannot be said in this target's dialect. */
export const notSent = (error: WeirError): AttemptFailure => ({
  error,
  status: 0,
  billing: "nothing",
  answer: undefined,
});

export function leftAlone(target: RoutedTarget, waitMs: number, reason: WeirError["reason"]): WeirError {
  const message = `${target.provider}/${target.model} is left alone for ${Math.ceil(waitMs / 1000)} s after it failed.`;
  return new WeirError(reason, message, { retryAfterMs: Math.ceil(waitMs) });
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
