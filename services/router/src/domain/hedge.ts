/**
 * When a second attempt is made beside one that has not answered yet, and how often that may be: "The Tail at Scale" (Dean and Barroso, 2013)
 * calls it a hedged request. What is hedged costs twice, so a share of the requests is the most that may be.
 */
import { LatencyQuantile } from "./latency-quantile.ts";

export interface HedgeConfig {
  /** "p95": when it takes longer than all but five of a hundred did lately. */
  readonly afterMs: number | "p95";
  /** Hedges to requests, above 0 and up to 1. */
  readonly budget: number;
}

/** What a quiet time may save up. */
const MOST_SAVED = 10;
const P95 = 0.95;

/** Of one model. Changes in place: it is written for every request. */
export class Hedge {
  readonly #afterMs: number | "p95";
  readonly #budget: number;
  readonly #whole = new LatencyQuantile();
  readonly #firstContent = new LatencyQuantile();
  /** Nothing to begin with: at any time there were at most `budget` × requests hedges. */
  #saved = 0;

  constructor({ afterMs, budget }: HedgeConfig) {
    this.#afterMs = afterMs;
    this.#budget = budget;
  }

  isAs({ afterMs, budget }: HedgeConfig): boolean {
    return this.#afterMs === afterMs && this.#budget === budget;
  }

  /** A request comes. */
  earn(): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + this.#budget);
  }

  /** @returns undefined: not yet known */
  afterMs(stream: boolean): number | undefined {
    if (this.#afterMs !== "p95") return this.#afterMs;
    return (stream ? this.#firstContent : this.#whole).at(P95);
  }

  /** @returns whether one more may be made */
  spend(): boolean {
    // Twenty times 0.05 is less than one.
    if (this.#saved < 1 - 1e-9) return false;
    this.#saved -= 1;
    return true;
  }

  /** It was not made after all. */
  refund(): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + 1);
  }

  /** An attempt answered (of a stream: began) after so long; one that was cancelled took at least so long. */
  note(stream: boolean, ms: number): void {
    if (this.#afterMs === "p95") (stream ? this.#firstContent : this.#whole).note(ms);
  }
}
