import type { BudgetUnit } from "./key-policy.ts";

/** What a request takes of each kind of budget; it is always one request besides. */
export interface Amounts {
  readonly costNanos: bigint;
  readonly tokens: bigint;
}

/** What a request takes of a budget of this unit. */
export const amountOf = (unit: BudgetUnit, amounts: Amounts): bigint =>
  unit === "nano-usd" ? amounts.costNanos : unit === "tokens" ? amounts.tokens : 1n;

/** One request costs less than a million dollars and 10^12 tokens: sums of what is within cannot leave 64 bits in practice. */
const MOST: Amounts = { costNanos: 10n ** 15n, tokens: 10n ** 12n };

/** @returns the name of the amount that no request can have */
export function impossibleAmount(amounts: Amounts): keyof Amounts | undefined {
  if (amounts.costNanos < 0n || amounts.costNanos > MOST.costNanos) return "costNanos";
  if (amounts.tokens < 0n || amounts.tokens > MOST.tokens) return "tokens";
  return undefined;
}

/** A charge that no request can have is an error somewhere; it is booked as the most there can be, and closes its budgets. */
export const bookable = (charge: Amounts): Amounts =>
  impossibleAmount(charge) === undefined
    ? charge
    : { costNanos: clamp(charge.costNanos, MOST.costNanos), tokens: clamp(charge.tokens, MOST.tokens) };

const clamp = (amount: bigint, most: bigint): bigint => (amount < 0n ? 0n : amount > most ? most : amount);
