import { WeirError } from "@weir/kernel";
import type { Amounts } from "./amounts.ts";

export interface HoldPlace {
  readonly keyId: string;
  /** One array per path: the ledger keeps what it knows of a path by its identity. */
  readonly budgetIds: readonly number[];
  /** For each budget whom its period is of; "" where it is one for all. Undefined: all of them are. */
  readonly subjects?: readonly string[] | undefined;
  /** Counted as a call by the budgets at these places of the list. Undefined: by none. */
  readonly call?: { readonly digest: string; readonly counted: readonly number[] } | undefined;
}

/** What one attempt may cost at most, to be held on all budgets of its path. */
export interface HoldRequest {
  readonly requestId: string;
  readonly attempt: number;
  readonly owner: string;
  /** Undefined for a further attempt: it is held where attempt 1 is. */
  readonly place: HoldPlace | undefined;
  readonly bound: Amounts;
}

/** The ledger gave no answer, and nobody knows whether it holds: whoever asked settles it void. */
export class UnsureHoldError extends WeirError {}

export type HoldVerdict =
  | { readonly kind: "held" }
  /** Attempt 1 of this further attempt holds nothing, so neither does this. */
  | { readonly kind: "nothing-to-hold" }
  /** `room` is what was left there; undefined: the budget is closed. */
  | { readonly kind: "refused"; readonly budgetId: number; readonly room: bigint | undefined }
  /** The same call came as often within its run as this budget lets it. */
  | { readonly kind: "repeated"; readonly budgetId: number }
  /** This attempt was settled before it could be held, or its request is over: attempt 1 is settled. */
  | { readonly kind: "already-settled" }
  /** Its owner was declared dead by Recover. */
  | { readonly kind: "dead-owner" };

/** How an attempt ended. `at-bound`: it may have been billed and nobody knows how much. */
export interface Settlement {
  readonly requestId: string;
  readonly attempt: number;
  readonly outcome: "void" | "at-bound" | Amounts;
}

/** `aboveBound`: the charge is above what was held, so the bound was none; the hard budgets concerned are closed. */
export interface SettlementResult {
  readonly kind: "settled" | "duplicate" | "unknown-hold" | "credited";
  readonly aboveBound: boolean;
}

export interface HoldName {
  readonly requestId: string;
  readonly attempt: number;
}
