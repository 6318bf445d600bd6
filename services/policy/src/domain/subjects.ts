/**
 * Budgets that are one for each run or end user. A request that names no run (no end user) takes nothing from them: there is no run whose
 * budget it could be.
 */
import type { BudgetOnPath } from "./key-policy.ts";
import type { HoldPlace } from "./ledger.ts";

export type BudgetSubject = "none" | "run" | "end-user";

export interface SubjectRequest {
  readonly keyId: string;
  readonly endUser: string;
  readonly runId: string;
  /** What makes two calls of a run the same call; "": this one is not to be compared. */
  readonly callDigest: string;
}

interface Plan {
  readonly budgetIds: readonly number[];
  /** Undefined: none of them has a subject. */
  readonly subjects: readonly BudgetSubject[] | undefined;
  /** Which of them count calls. */
  readonly counted: readonly number[];
}

/** One plan for each combination of run and end user that are there or not: arrays that stay the same for as long as the path does. */
const plans = new WeakMap<readonly BudgetOnPath[], (Plan | undefined)[]>();

function planOf(budgets: readonly BudgetOnPath[], hasRun: boolean, hasEndUser: boolean): Plan {
  let known = plans.get(budgets);
  if (known === undefined) {
    known = [];
    plans.set(budgets, known);
  }
  const at = (hasRun ? 1 : 0) + (hasEndUser ? 2 : 0);
  return (known[at] ??= makePlan(budgets, hasRun, hasEndUser));
}

function makePlan(budgets: readonly BudgetOnPath[], hasRun: boolean, hasEndUser: boolean): Plan {
  const taken = budgets.filter(({ per = "none" }) => per === "none" || (per === "run" ? hasRun : hasEndUser));
  const subjects = taken.map(({ per = "none" }) => per);
  return {
    budgetIds: taken.map(({ id }) => id),
    subjects: subjects.every((per) => per === "none") ? undefined : subjects,
    counted: taken.flatMap(({ maxIdenticalCalls }, index) => (maxIdenticalCalls === undefined ? [] : [index])),
  };
}

/**
 * Where a request is held. Undefined: nowhere, no budget counts it.
 * @param digest shortens what a client may choose freely, and keeps out of the ledger who somebody is
 */
export function holdPlace(
  budgets: readonly BudgetOnPath[],
  request: SubjectRequest,
  digest: (text: string) => string,
): HoldPlace | undefined {
  if (budgets.length === 0) return undefined;
  const { keyId, runId, endUser, callDigest } = request;
  const { budgetIds, subjects, counted } = planOf(budgets, runId !== "", endUser !== "");
  if (budgetIds.length === 0) return undefined;
  if (subjects === undefined) return { keyId, budgetIds };
  const run = runId === "" ? "" : digest(runId);
  const user = endUser === "" ? "" : digest(endUser);
  const names = subjects.map((per) => (per === "none" ? "" : per === "run" ? run : user));
  const call = callDigest === "" || counted.length === 0 ? undefined : { digest: digest(callDigest), counted };
  return { keyId, budgetIds, subjects: names, call };
}
