import type { CallOptions, Client } from "@connectrpc/connect";
import type { policy } from "@weir/contracts";

export interface Hands {
  readonly admin: Client<typeof policy.PolicyAdminService>;
  readonly books: Client<typeof policy.BudgetService>;
  readonly call: CallOptions;
}

/** One difference between what is wanted and what there is. */
export interface Step {
  /** `keep`: there is none. */
  readonly verb: "create" | "update" | "delete" | "keep";
  /** "budget month usd of workspace/search" */
  readonly what: string;
  /** What changes: "limit: 5 → 10". */
  readonly details: readonly string[];
  /** Safe to repeat. @returns what is to be shown, where that is a text */
  readonly run: (hands: Hands) => Promise<unknown>;
}

export const unchanged = (what: string): Step => ({ verb: "keep", what, details: [], run: () => Promise.resolve() });
