/**
 * What entries of the ledger add up to. A hold moves its amounts from "available" to "held" in each period of its path; a settlement moves
 * them out of "held", what was used to "spent".
 */
import type { Amounts } from "./amounts.ts";
import type { BudgetUnit } from "./key-policy.ts";
import type { Settlement } from "./ledger.ts";

export interface Period {
  readonly id: number;
  readonly unit: BudgetUnit;
}

/** What is written of a hold: it never changes. */
export interface HeldEntry {
  /** Where it is held, from the organization down; never empty. */
  readonly path: readonly Period[];
  readonly bound: Amounts;
}

export interface Total {
  held: bigint;
  spent: bigint;
  /** Something is held anew. */
  takes: boolean;
}

const amountIn = (unit: BudgetUnit, amounts: Amounts, requests: bigint): bigint =>
  unit === "nano-usd" ? amounts.costNanos : unit === "tokens" ? amounts.tokens : requests;

/** What a settlement charges. Undefined: more than was held, so that it is more than an entry that must be written. */
function chargeWithin(outcome: Settlement["outcome"], bound: Amounts): Amounts | undefined {
  if (outcome === "void") return NOTHING;
  if (outcome === "at-bound") return bound;
  return outcome.costNanos <= bound.costNanos && outcome.tokens <= bound.tokens ? outcome : undefined;
}

const NOTHING: Amounts = { costNanos: 0n, tokens: 0n };

/**
 * What a batch changes in each period if each settlement is the first one for its hold and each hold fits. Undefined: not every hold is
 * known, or some settlement is above its bound.
 * @param entries the hold of each settlement
 * @param paths the path of each hold
 */
export function totalsOf(
  settlements: readonly Settlement[],
  entries: readonly (HeldEntry | undefined)[],
  holds: readonly { readonly bound: Amounts }[],
  paths: readonly (readonly Period[] | undefined)[],
): Totals | undefined {
  const totals = new Totals();
  for (let at = 0; at < settlements.length; at++) {
    const entry = entries[at];
    if (entry === undefined) return undefined;
    const { outcome } = settlements[at] as Settlement;
    const charge = chargeWithin(outcome, entry.bound);
    if (charge === undefined) return undefined;
    totals.settle(entry, charge, outcome === "void" ? 0n : 1n);
  }
  for (let at = 0; at < holds.length; at++) {
    const path = paths[at];
    if (path === undefined) return undefined;
    totals.hold(path, (holds[at] as { readonly bound: Amounts }).bound);
  }
  return totals;
}

/** The changes of a batch in each period. */
export class Totals {
  readonly #byPeriod = new Map<number, Total>();

  hold(path: readonly Period[], bound: Amounts): void {
    for (const { id, unit } of path) {
      const total = this.#of(id);
      total.held += amountIn(unit, bound, 1n);
      total.takes = true;
    }
  }

  settle({ path, bound }: HeldEntry, charge: Amounts, requests: bigint): void {
    for (const { id, unit } of path) {
      const total = this.#of(id);
      total.held -= amountIn(unit, bound, 1n);
      total.spent += amountIn(unit, charge, requests);
    }
  }

  /** In the order in which periods are locked. */
  inOrder(): [number, Total][] {
    return [...this.#byPeriod].sort(([a], [b]) => a - b);
  }

  #of(id: number): Total {
    let total = this.#byPeriod.get(id);
    if (total === undefined) {
      total = { held: 0n, spent: 0n, takes: false };
      this.#byPeriod.set(id, total);
    }
    return total;
  }
}
