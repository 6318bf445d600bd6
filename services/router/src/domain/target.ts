import type { Capabilities, Price, PricePlan } from "@weir/pricing";
import type { Health } from "./health.ts";
import type { OutcomeRate } from "./outcome-rate.ts";
import type { PeakEwma } from "./peak-ewma.ts";
import type { TargetGate } from "./target-gate.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** One model of one provider: what a request can be sent to. */
export interface Target {
  readonly provider: string;
  readonly kind: string;
  readonly model: string;
  /** Which of several credentials with that provider it uses, from 0. */
  readonly account: number;
  /** "" where the configuration names none. */
  readonly region: string;
  /** Everybody's when the table was made, for comparing targets; undefined: unknown. */
  readonly price: Price | undefined;
  /** Whose price counts when; where none does, it cannot serve what needs a bound. */
  readonly plan: PricePlan;
  /** Its maker's name in the price book; "": its prices come from the configuration only. */
  readonly priceBook: string;
  /** What its tokens are counted with; undefined: unknown. */
  readonly vocabulary: Vocabulary | undefined;
  readonly contextWindow: number | undefined;
  readonly maxOutput: number | undefined;
  /** What the catalogue knows of the model. */
  readonly capabilities: Capabilities;
  /** An answer (of a stream, its first content) that takes longer is held against it; undefined: none is. */
  readonly slowMs: number | undefined;
  /** Undefined: it takes as many calls as there are connections. */
  readonly gate?: TargetGate | undefined;
  /** What was seen of it lately; the one thing here that changes. */
  readonly state: TargetState;
}

/** The most tokens one answer can have; Infinity where nobody knows. @param outputCap 0: none */
export const answerLimit = (outputCap: number, { maxOutput, contextWindow }: Target): number =>
  Math.min(outputCap || Infinity, maxOutput ?? Infinity, contextWindow ?? Infinity);

export interface TargetState {
  health: Health;
  inFlight: number;
  readonly outcomes: OutcomeRate;
  /** Times of whole answers. */
  whole: PeakEwma;
  /** Times to the first content of streams. */
  firstContent: PeakEwma;
}
