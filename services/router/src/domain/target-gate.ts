import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { type Waiting, WaitingLine } from "./waiting-line.ts";

/** How many calls a target has at once, and who waits for it. */
export class TargetGate {
  /** As long a call waits at most. */
  readonly waitMs: number;
  readonly #limit: ConcurrencyLimit;
  readonly #line: WaitingLine;
  /** Admitted from the line, and not begun yet. */
  #admitted = 0;

  constructor(limit: ConcurrencyLimit, queue: { readonly length: number; readonly waitMs: number }) {
    this.#limit = limit;
    this.#line = new WaitingLine(queue.length);
    this.waitMs = queue.waitMs;
  }

  /** How many calls it may have at once now. */
  get limit(): number {
    return this.#limit.limit;
  }

  /** How many calls of a priority wait. */
  waiting(priority: number): number {
    return this.#line.lengthOf(priority);
  }

  /** Whether one more may begin now: nobody overtakes those who wait. */
  hasRoom(inFlight: number): boolean {
    return this.#line.length === 0 && inFlight + this.#admitted < this.#limit.limit;
  }

  /** @returns whether it waits now; once admitted, it calls `begun` in any case */
  enter(one: Waiting): boolean {
    return this.#line.enter(one);
  }

  leave(one: Waiting): void {
    this.#line.leave(one);
  }

  /** Who was admitted is one of those in flight now, or does not begin. */
  begun(): void {
    this.#admitted -= 1;
  }

  /** There may be room again. */
  admit(inFlight: number): void {
    while (inFlight + this.#admitted < this.#limit.limit && this.#line.admitNext()) this.#admitted += 1;
  }

  answered(stream: boolean, ms: number, inFlight: number): void {
    this.#limit.answered(stream, ms, inFlight);
  }

  overloaded(): void {
    this.#limit.overloaded();
  }
}
