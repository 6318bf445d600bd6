/**
 * Waiting for a target that has as many calls as it can take. Closed on failure: who finds no room in time, or is turned away for a call of
 * higher priority, is refused, and no provider is called.
 */
import { WeirError } from "@weir/kernel";
import type { TargetGate } from "../domain/target-gate.ts";
import type { Waiting } from "../domain/waiting-line.ts";

/** @returns undefined: it is this call's turn, and it calls `begun` */
export function awaitTurn(
  gate: TargetGate,
  priority: number,
  mostMs: number,
  signal: AbortSignal,
): Promise<WeirError | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(gone());
    const over = (error: WeirError | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
      resolve(error);
    };
    const waiting: Waiting = { priority, admit: () => over(undefined), shed: () => over(saturated()) };
    const quit = (error: WeirError): void => {
      gate.leave(waiting);
      over(error);
    };
    const leave = (): void => quit(gone());
    const timer = setTimeout(() => quit(saturated()), Math.min(gate.waitMs, mostMs));
    signal.addEventListener("abort", leave, { once: true });
    if (!gate.enter(waiting)) over(saturated());
  });
}

const RETRY_AFTER_MS = 1_000;

const saturated = (): WeirError =>
  new WeirError("overloaded", "The providers of this model have as many requests as they can take.", {
    retryAfterMs: RETRY_AFTER_MS,
  });
const gone = (): WeirError => new WeirError("client_closed", "The client went away.");
