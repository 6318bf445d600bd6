/**
 * Waiting for a target that has as many calls as it can take. Closed on failure: who finds no room in time, or is turned away for a call of
 * higher priority, is refused, and no provider is called.
 */
import { WeirError } from "@weir/kernel";
import type { TargetGate } from "../domain/target-gate.ts";
import type { Waiting } from "../domain/waiting-line.ts";
import type { QueueEnd } from "../ports.ts";

export interface Turned {
  readonly end: QueueEnd;
  /** Undefined: it is this call's turn, and it calls `begun`. */
  readonly error: WeirError | undefined;
}

export function awaitTurn(gate: TargetGate, priority: number, mostMs: number, signal: AbortSignal): Promise<Turned> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ end: "left", error: gone() });
    const over = (end: QueueEnd, error?: WeirError): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
      resolve({ end, error });
    };
    const waiting: Waiting = { priority, admit: () => over("admitted"), shed: () => over("shed", saturated()) };
    const quit = (end: QueueEnd, error: WeirError): void => {
      gate.leave(waiting);
      over(end, error);
    };
    const leave = (): void => quit("left", gone());
    const timer = setTimeout(() => quit("timed_out", saturated()), Math.min(gate.waitMs, mostMs));
    signal.addEventListener("abort", leave, { once: true });
    if (!gate.enter(waiting)) over("shed", saturated());
  });
}

const RETRY_AFTER_MS = 1_000;

const saturated = (): WeirError =>
  new WeirError("overloaded", "The providers of this model have as many requests as they can take.", {
    retryAfterMs: RETRY_AFTER_MS,
  });
const gone = (): WeirError => new WeirError("client_closed", "The client went away.");
