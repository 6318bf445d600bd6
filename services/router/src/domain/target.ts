import type { Price } from "@weir/pricing";
import type { Health } from "./health.ts";

/** One model of one provider: what a request can be sent to. */
export interface Target {
  readonly provider: string;
  readonly kind: string;
  readonly model: string;
  /** "" where the configuration names none. */
  readonly region: string;
  /** Undefined: unknown; it cannot serve what needs a bound. */
  readonly price: Price | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
  /** What was seen of it lately; the one thing here that changes. */
  readonly state: TargetState;
}

/** The most tokens one answer can have; Infinity where nobody knows. @param outputCap 0: none */
export const answerLimit = (outputCap: number, { maxOutput, contextWindow }: Target): number =>
  Math.min(outputCap || Infinity, maxOutput ?? Infinity, contextWindow ?? Infinity);

export interface TargetState {
  health: Health;
  inFlight: number;
  /** Moving average of the time to the first byte of an answer; 0: none seen. */
  latencyMs: number;
}
