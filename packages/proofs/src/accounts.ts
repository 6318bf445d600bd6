import { merged, type NumberRange, ownNumbers } from "./numbers.ts";
import type { LeafRecord } from "./record.ts";

/** The last valid number of an epoch, as the next start of its producer found it. */
export interface Predecessor {
  readonly producer: string;
  readonly lastNumber: number;
}

export interface MissingNumbers extends NumberRange {
  readonly producer: string;
}

interface Account {
  ranges: NumberRange[];
  /** How many of them came since they were merged. */
  unmerged: number;
  /** The number of its epoch-close, or its last valid one as its successor found it; 0: not known. */
  last: number;
}

/** So many ranges may come before they are merged: merging sorts. */
const MERGE_AT = 1_000;

/** Which numbers of which producer the leaves account for, over a log of any length: its memory grows with the gaps, not the log. */
export class Accounts {
  readonly #accounts = new Map<string, Account>();

  /**
   * A record accounts for its own number and for the intent that it answers: an outcome carries its intent, so one that was never sent
   * alone is not missing.
   * @param closes whether it is its epoch's last
   */
  add(
    leaf: Pick<LeafRecord, "producer" | "number" | "intentProducer" | "intentNumber">,
    closes: boolean,
    predecessor: Predecessor | undefined,
  ): void {
    const { producer, number, intentProducer, intentNumber } = leaf;
    const own = this.#account(producer);
    addRange(own, ownNumbers(number, intentNumber));
    if (number >= 0 && intentNumber > 0) {
      const answered = intentProducer === "" ? own : this.#account(intentProducer);
      addRange(answered, { first: intentNumber, last: intentNumber });
    }
    if (closes) own.last = Math.max(own.last, number);
    if (predecessor !== undefined && predecessor.producer !== "") {
      const before = this.#account(predecessor.producer);
      before.last = Math.max(before.last, predecessor.lastNumber);
    }
  }

  /** Every number from 1 to this one is accounted for. */
  contiguous(producer: string): number {
    const account = this.#accounts.get(producer);
    const first = account === undefined ? undefined : mergedOf(account)[0];
    return first?.first === 1 ? first.last : 0;
  }

  /** What is missing below the highest number that is known of each producer; a whole epoch from its number 1 where only its successor names it. */
  *missing(): Generator<MissingNumbers> {
    for (const [producer, account] of this.#accounts) {
      let next = 1;
      for (const { first, last } of mergedOf(account)) {
        if (first > next) yield { producer, first: next, last: first - 1 };
        next = last + 1;
      }
      if (account.last >= next) yield { producer, first: next, last: account.last };
    }
  }

  #account(producer: string): Account {
    let account = this.#accounts.get(producer);
    if (account === undefined) {
      account = { ranges: [], unmerged: 0, last: 0 };
      this.#accounts.set(producer, account);
    }
    return account;
  }
}

function addRange(account: Account, range: NumberRange): void {
  account.ranges.push(range);
  if (++account.unmerged >= MERGE_AT) mergedOf(account);
}

function mergedOf(account: Account): readonly NumberRange[] {
  if (account.unmerged > 0) account.ranges = merged(account.ranges);
  account.unmerged = 0;
  return account.ranges;
}
