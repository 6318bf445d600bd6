/**
 * Admission: limits first, then holds, each request wholly or not at all. Failure policy: a request whose key has a hard budget is
 * refused while the ledger is away; under soft budgets only it goes on, uncounted.
 */
import { type Clock, WeirError } from "@weir/kernel";
import { type Amounts, impossibleAmount } from "../domain/amounts.ts";
import { amountText, type BudgetOnPath, budgetRule, type KeyPolicy, limitRule } from "../domain/key-policy.ts";
import type { HoldRequest, HoldVerdict } from "../domain/ledger.ts";
import {
  impossibleTake,
  type LimitState,
  retryAfterMs,
  stateOf,
  type Take,
  takesOf,
  tightestFirst,
} from "../domain/limits.ts";
import type { BucketRequest, Ledger } from "../ports.ts";
import type { Limiter, LimiterVerdict } from "./limiter.ts";

export interface Admission {
  readonly requestId: string;
  readonly keyId: string;
  readonly model: string;
  readonly endUser: string;
  readonly clientIp: string;
  readonly bound: Amounts;
  /** What token limits take. */
  readonly tokens: number;
}

export type AdmissionVerdict = (
  | { readonly kind: "admitted"; readonly held: boolean }
  | { readonly kind: "refused"; readonly error: WeirError; readonly rule: string }
) & { readonly limits: readonly LimitState[] };

export interface AdmitDependencies {
  readonly ledger: Ledger;
  readonly limiter: Limiter;
  /** A key's policy, looked for elsewhere where this replica does not know it yet. */
  readonly keyOf: (keyId: string) => KeyPolicy | undefined | Promise<KeyPolicy | undefined>;
  readonly digest: (text: string) => string;
  readonly clock: Clock;
}

const NO_LIMITS: readonly LimitState[] = [];
const HELD: AdmissionVerdict = { kind: "admitted", held: true, limits: NO_LIMITS };
const FREE: AdmissionVerdict = { kind: "admitted", held: false, limits: NO_LIMITS };

export async function admit(
  { ledger, limiter, keyOf, digest, clock }: AdmitDependencies,
  owner: string,
  admissions: readonly Admission[],
): Promise<AdmissionVerdict[]> {
  const verdicts: (AdmissionVerdict | undefined)[] = admissions.map(() => undefined);
  const keys: (KeyPolicy | undefined)[] = admissions.map(() => undefined);
  const limited: { index: number; request: BucketRequest }[] = [];
  for (let index = 0; index < admissions.length; index++) {
    const admission = admissions[index] as Admission;
    const found = keyOf(admission.keyId);
    const key = found instanceof Promise ? await found : found;
    const error = objection(admission, key, clock.nowMs());
    if (error !== undefined || key === undefined) {
      verdicts[index] = refused(error ?? unknownKey(), "");
      continue;
    }
    keys[index] = key;
    if (key.limits.length === 0) continue;
    const takes = takesOf(key, admission, digest);
    const impossible = impossibleTake(takes);
    if (impossible === undefined) limited.push({ index, request: { requestId: admission.requestId, takes } });
    else verdicts[index] = refused(neverWithin(impossible), limitRule(impossible.limit));
  }

  if (limited.length > 0) {
    const taken = await limiter.take(limited.map(({ request }) => request));
    for (const [at, { index, request }] of limited.entries()) {
      verdicts[index] = limitVerdict(request.takes, taken[at] ?? "unavailable");
    }
  }

  const held: number[] = [];
  const holds: HoldRequest[] = [];
  for (let index = 0; index < admissions.length; index++) {
    const key = keys[index];
    if (key === undefined || verdicts[index]?.kind === "refused") continue;
    const budgetIds = budgetIdsOf(key);
    if (budgetIds.length === 0) {
      verdicts[index] ??= FREE;
      continue;
    }
    const { requestId, keyId, bound } = admissions[index] as Admission;
    held.push(index);
    holds.push({ requestId, attempt: 1, owner, place: { keyId, budgetIds }, bound });
  }
  if (holds.length === 0) return verdicts as AdmissionVerdict[];

  const answers = await holdOrError(ledger, holds);
  const giveBack: string[] = [];
  for (const [at, index] of held.entries()) {
    const key = keys[index] as KeyPolicy;
    const limits = verdicts[index]?.limits ?? NO_LIMITS;
    const verdict = holdVerdict(
      key,
      (admissions[index] as Admission).bound,
      answers instanceof WeirError ? answers : answers[at],
    );
    if (verdict.kind === "refused" && limits.length > 0) giveBack.push((admissions[index] as Admission).requestId);
    verdicts[index] = limits.length === 0 ? verdict : { ...verdict, limits };
  }
  if (giveBack.length > 0) await limiter.giveBack(giveBack);
  return verdicts as AdmissionVerdict[];
}

/**
 * One more attempt: held where the first is.
 * @param key whose request it is; undefined where the caller did not say
 */
export async function extend(
  ledger: Ledger,
  hold: Omit<HoldRequest, "place">,
  key: KeyPolicy | undefined,
): Promise<AdmissionVerdict> {
  const wrong = impossibleAmount(hold.bound);
  if (wrong !== undefined) return refused(impossibleBound(wrong), "");
  const answers = await holdOrError(ledger, [{ ...hold, place: undefined }]);
  return holdVerdict(key, hold.bound, answers instanceof WeirError ? answers : answers[0]);
}

const budgetIds = new WeakMap<KeyPolicy, readonly number[]>();

/** One array per state of a key: the ledger sends each path once and tells them apart by identity. */
function budgetIdsOf(key: KeyPolicy): readonly number[] {
  let ids = budgetIds.get(key);
  if (ids === undefined) {
    ids = key.budgets.map((budget) => budget.id);
    budgetIds.set(key, ids);
  }
  return ids;
}

async function holdOrError(ledger: Ledger, holds: readonly HoldRequest[]): Promise<HoldVerdict[] | WeirError> {
  try {
    return await ledger.hold(holds);
  } catch (error) {
    if (error instanceof WeirError) return error;
    throw error;
  }
}

function objection(admission: Admission, key: KeyPolicy | undefined, nowMs: number): WeirError | undefined {
  if (key === undefined) return unknownKey();
  if (key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs)
    return new WeirError("expired_key", "This key has expired.");
  const wrong = impossibleAmount(admission.bound);
  return wrong === undefined ? undefined : impossibleBound(wrong);
}

function limitVerdict(takes: readonly Take[], verdict: LimiterVerdict): AdmissionVerdict {
  if (verdict === "unavailable") {
    const error = new WeirError("policy_unavailable", "Rate limits cannot be checked right now.", {
      retryAfterMs: 1000,
    });
    const closed = takes.find(({ limit }) => limit.failClosed);
    return refused(error, closed === undefined ? "" : limitRule(closed.limit));
  }
  const { nowUs, tatsUs } = verdict;
  const limits = tightestFirst(takes.map((take, i) => stateOf(take, tatsUs[i] ?? nowUs, nowUs)));
  if (verdict.refused === undefined) return { kind: "admitted", held: false, limits };
  const take = takes[verdict.refused] as Take;
  const rule = limitRule(take.limit);
  const waitMs = retryAfterMs(take, tatsUs[verdict.refused] ?? nowUs, nowUs);
  return {
    ...refused(new WeirError("rate_limited", `Too much for the ${rule}.`, { retryAfterMs: waitMs }), rule),
    limits,
  };
}

function holdVerdict(
  key: KeyPolicy | undefined,
  bound: Amounts,
  answer: HoldVerdict | WeirError | undefined,
): AdmissionVerdict {
  if (answer === undefined) throw new Error("the ledger gave fewer verdicts than there were holds");
  if (!(answer instanceof WeirError)) return ledgerVerdict(answer, key?.budgets ?? [], bound);
  const hard = key?.budgets.find((budget) => budget.hard);
  // Of an unknown key nobody can say that it has only soft ones.
  if (key !== undefined && hard === undefined) return FREE;
  return refused(answer, hard === undefined ? "" : budgetRule(hard));
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
  const amount = budget.unit === "nano-usd" ? bound.costNanos : budget.unit === "tokens" ? bound.tokens : 1n;
  const left = amountText(budget.unit, room < 0n ? 0n : room);
  return ` The request may take ${amountText(budget.unit, amount)}, and ${left} are left.`;
}

const refused = (error: WeirError, rule: string): AdmissionVerdict => ({
  kind: "refused",
  error,
  rule,
  limits: NO_LIMITS,
});
const unknownKey = (): WeirError => new WeirError("invalid_key", "There is no such key.");
const overBudget = (rule: string, detail: string): WeirError =>
  new WeirError("budget_exceeded", `The ${rule} does not allow this request.${detail}`);
const impossibleBound = (name: string): WeirError =>
  new WeirError("invalid_request", "No request can take this much.", { param: `bound.${name}` });
const neverWithin = (take: Take): WeirError =>
  new WeirError("rate_limited", `The request takes more than the ${limitRule(take.limit)} allows at any time.`);
