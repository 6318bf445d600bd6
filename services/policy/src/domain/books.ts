/** The books as who checks and resolves them sees them. */
import type { Amounts } from "./amounts.ts";
import type { BudgetUnit } from "./key-policy.ts";
import type { BudgetPeriod } from "./periods.ts";
import type { HoldName } from "./ledger.ts";
import type { PlaceOfRow } from "./rows.ts";
import type { BudgetSubject } from "./subjects.ts";

export interface Mismatch {
  readonly budgetId: number;
  readonly periodStartMs: number;
  readonly held: bigint;
  readonly heldByEntries: bigint;
  readonly spent: bigint;
  readonly spentByEntries: bigint;
  /** What is wrong with an entry itself; "": the sums differ. */
  readonly detail: string;
}

export interface Verification {
  /** None, or the ledger is broken. */
  readonly mismatches: readonly Mismatch[];
  readonly periods: number;
  readonly holds: number;
  readonly settlements: number;
}

/** `unresolved`: charged at its bound, as nobody knows how much it was. */
export type ChargeState = "open" | "charged" | "void" | "unresolved";

/** One attempt of a request. */
export interface ChargeRow {
  readonly requestId: string;
  readonly attempt: number;
  readonly keyId: string;
  readonly owner: string;
  readonly heldAtMs: number;
  readonly bound: Amounts;
  /** What is charged for it now. */
  readonly charged: Amounts;
  readonly state: ChargeState;
}

/** The next ones after one. */
export interface ChargePage {
  readonly after: HoldName | undefined;
  readonly most: number;
}

export interface OwnerRow {
  readonly name: string;
  /** Undefined: nobody said that it is gone. */
  readonly deadAtMs: number | undefined;
  readonly openHolds: number;
  readonly oldestMs: number;
  readonly newestMs: number;
}

/** What somebody asked to be done, and why. */
export interface Resolution {
  /** "operator", or a key's id. */
  readonly by: string;
  readonly subject: { readonly requestId: string; readonly attempt: number } | { readonly owner: string };
  readonly charged: Amounts;
  readonly note: string;
}

export interface WarningRow {
  readonly id: string;
  readonly budgetId: number;
  readonly place: PlaceOfRow;
  readonly workspace: string;
  readonly unit: BudgetUnit;
  readonly period: BudgetPeriod;
  readonly per: BudgetSubject;
  readonly hard: boolean;
  /** Of a budget per run or end user: a digest of whose it is. */
  readonly subject: string;
  readonly periodStartMs: number;
  readonly percent: number;
  readonly spent: bigint;
  readonly limit: bigint;
  readonly atMs: number;
  readonly delivery: "" | "waiting" | "sent" | "given up";
}

export interface WebhookRow {
  readonly workspaceId: string;
  readonly url: string;
  readonly createdAtMs: number;
  readonly lastError: string;
  readonly waiting: number;
}

/** A warning that is due, with where to. */
export interface Delivery {
  readonly warning: WarningRow;
  readonly url: string;
  readonly secret: string;
  /** This one included. */
  readonly attempts: number;
}

/** `nextInMs` undefined: it was sent, or is given up. */
export interface DeliveryOutcome {
  readonly sent: boolean;
  readonly error: string;
  readonly nextInMs: number | undefined;
}
