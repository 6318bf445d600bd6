/**
 * A bounded line of calls for a target: the highest priority goes first, of one priority the one that came first. Where the line is full, the
 * last of the lowest priority is turned away, the newcomer too.
 */
export interface Waiting {
  readonly priority: number;
  /** Its turn has come. */
  admit(): void;
  /** There is no room for it any more. */
  shed(): void;
}

export class WaitingLine {
  readonly #most: number;
  readonly #waiting: Waiting[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** How many of a priority wait. */
  lengthOf(priority: number): number {
    return this.#waiting.filter((one) => one.priority === priority).length;
  }

  /** @returns whether it waits now; another one may have been shed for it */
  enter(one: Waiting): boolean {
    if (this.#waiting.length >= this.#most) {
      const last = this.#waiting.at(-1);
      if (last === undefined || last.priority >= one.priority) return false;
      this.#waiting.pop();
      last.shed();
    }
    const at = this.#waiting.findLastIndex(({ priority }) => priority >= one.priority) + 1;
    this.#waiting.splice(at, 0, one);
    return true;
  }

  /** Waits no longer. */
  leave(one: Waiting): void {
    const at = this.#waiting.indexOf(one);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** @returns whether there was one */
  admitNext(): boolean {
    const next = this.#waiting.shift();
    next?.admit();
    return next !== undefined;
  }
}
