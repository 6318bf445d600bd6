/**
 * What comes of an admission, from the answers of limits and ledger. Failure policy: what cannot be checked is refused, unless only soft
 * budgets are concerned.
 */
import { WeirError } from "@weir/kernel";
import { type Amounts, amountOf, impossibleAmount } from "./amounts.ts";
import { amountText, type BudgetOnPath, budgetRule, type KeyPolicy, limitRule } from "./key-policy.ts";
import { type HoldVerdict, UnsureHoldError } from "./ledger.ts";
import { type BucketVerdict, type LimitState, obstacleOf, stateOf, tightestFirst } from "./limits.ts";
import type { Take } from "./takes.ts";

export interface Admission {
  readonly requestId: string;
  readonly keyId: string;
  readonly model: string;
  readonly endUser: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientIp: string;
  readonly bound: Amounts;
  /** What token limits take. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** How long it may wait where a limit queues; undefined: as long as the limit lets it. */
  readonly maxWaitMs: number | undefined;
  /** Among those of its workspace that wait. */
  readonly priority: number;
  /** The agent run that it is a step of; "": none. */
  readonly runId: string;
  /** Equal for calls that are the same call; "": it is not compared. */
  readonly callDigest: string;
}

export type AdmissionVerdict = (
  | { readonly kind: "admitted"; readonly held: boolean }
  | {
      readonly kind: "refused";
      readonly error: WeirError;
      readonly rule: string;
      /** Nobody knows whether it is held nevertheless: it is to be settled void. */
      readonly mayBeHeld?: true;
    }
  /** Nothing was taken: its turn is to be waited for. */
  | { readonly kind: "waiting"; readonly maxWaitMs: number }
) & { readonly limits: readonly LimitState[] };

export const NO_LIMITS: readonly LimitState[] = [];
const HELD: AdmissionVerdict = { kind: "admitted", held: true, limits: NO_LIMITS };
export const FREE: AdmissionVerdict = { kind: "admitted", held: false, limits: NO_LIMITS };

/** What speaks against a request before anything is counted. */
export function objection(admission: Admission, key: KeyPolicy, nowMs: number): WeirError | undefined {
  if (key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs)
    return new WeirError("expired_key", "This key has expired.");
  const wrong = impossibleAmount(admission.bound);
  return wrong === undefined ? undefined : impossibleBound(wrong);
}

export function limitVerdict(takes: readonly Take[], verdict: BucketVerdict | "unavailable"): AdmissionVerdict {
  if (verdict === "unavailable") {
    const error = new WeirError("policy_unavailable", "Rate limits cannot be checked right now.", {
      retryAfterMs: 1000,
    });
    const named = takes.find(({ limit }) => limit.failClosed) ?? takes[0];
    return refused(error, named === undefined ? "" : limitRule(named.limit));
  }
  const { nowUs, states } = verdict;
  const limits = tightestFirst(takes.map((take, i) => stateOf(take, states[i] ?? nowUs, nowUs)));
  if (verdict.refused === undefined) return { kind: "admitted", held: false, limits };
  const { take, waitMs } = obstacleOf(takes, verdict);
  const rule = limitRule(take.limit);
  return {
    ...refused(new WeirError("rate_limited", `Too much for the ${rule}.`, { retryAfterMs: waitMs }), rule),
    limits,
  };
}

/** @param budgets those that may have been held; undefined: nobody knows */
export function holdVerdict(
  budgets: readonly BudgetOnPath[] | undefined,
  bound: Amounts,
  answer: HoldVerdict | WeirError | undefined,
): AdmissionVerdict {
  if (answer === undefined) throw new Error("the ledger gave fewer verdicts than there were holds");
  if (!(answer instanceof WeirError)) return ledgerVerdict(answer, budgets ?? [], bound);
  const hard = budgets?.find((budget) => budget.hard);
  // Of an unknown key nobody can say that it has only soft ones.
  const unsure = answer instanceof UnsureHoldError;
  // Settled as if it were held: a settlement of what is not there does nothing.
  if (budgets !== undefined && hard === undefined) return unsure ? HELD : FREE;
  const refusal = refused(answer, hard === undefined ? "" : budgetRule(hard));
  return unsure && refusal.kind === "refused" ? { ...refusal, mayBeHeld: true } : refusal;
}

function ledgerVerdict(answer: HoldVerdict, budgets: readonly BudgetOnPath[], bound: Amounts): AdmissionVerdict {
  switch (answer.kind) {
    case "held":
      return HELD;
    case "nothing-to-hold":
      return FREE;
    case "already-settled":
      return refused(new WeirError("invalid_request", "This attempt was settled before it was admitted."), "");
    case "dead-owner":
      return refused(new WeirError("shutting_down", "Its caller was declared dead; nothing is admitted for it."), "");
    case "repeated": {
      const budget = budgets.find(({ id }) => id === answer.budgetId);
      const rule = budget === undefined ? `budget ${answer.budgetId}` : budgetRule(budget);
      return refused(repeatedCall(rule, budget?.maxIdenticalCalls), rule);
    }
    case "refused": {
      const budget = budgets.find(({ id }) => id === answer.budgetId);
      if (budget === undefined)
        return refused(overBudget(`budget ${answer.budgetId}`, ""), `budget ${answer.budgetId}`);
      const rule = budgetRule(budget);
      return refused(overBudget(rule, roomText(budget, bound, answer.room)), rule);
    }
  }
}

function roomText(budget: BudgetOnPath, bound: Amounts, room: bigint | undefined): string {
  if (room === undefined) return " It is closed, as a charge was above what had been held for it.";
  const amount = amountOf(budget.unit, bound);
  const left = amountText(budget.unit, room < 0n ? 0n : room);
  return ` The request may take ${amountText(budget.unit, amount)}, and ${left} are left.`;
}

export const refused = (error: WeirError, rule: string): AdmissionVerdict => ({
  kind: "refused",
  error,
  rule,
  limits: NO_LIMITS,
});
const overBudget = (rule: string, detail: string): WeirError =>
  new WeirError("budget_exceeded", `The ${rule} does not allow this request.${detail}`);
const repeatedCall = (rule: string, most: number | undefined): WeirError =>
  new WeirError(
    "repeated_call",
    `The ${rule} lets the same call come ${most ?? "only a few"} times within a run, and so often it has come.`,
  );
export const impossibleBound = (name: string): WeirError =>
  new WeirError("invalid_request", "No request can take this much.", { param: `bound.${name}` });
export const neverWithin = (take: Take): WeirError =>
  new WeirError("rate_limited", `The request takes more than the ${limitRule(take.limit)} allows at any time.`);
