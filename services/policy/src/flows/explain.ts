/** What would become of a request: rules, limits and budgets as they are now. Takes nothing; what cannot be looked at is an error. */
import { WeirError } from "@weir/kernel";
import { type Admission, holdVerdict, limitVerdict, neverWithin, objection } from "../domain/admission.ts";
import { type Amounts, amountOf } from "../domain/amounts.ts";
import { type Caller, requireVisible } from "../domain/authority.ts";
import {
  type ImaginedRequest,
  type Refusal,
  type RehearsedBudget,
  type RuleVerdict,
  ruleVerdict,
} from "../domain/explain.ts";
import { type BudgetOnPath, budgetRule, type KeyPolicy, limitRule } from "../domain/key-policy.ts";
import { type BucketVerdict, type LimitState, stateOf, takeFits } from "../domain/limits.ts";
import { pathOf } from "../domain/path.ts";
import { holdPlace } from "../domain/subjects.ts";
import { impossibleTake, providerTakesOf, type Take, takesOf } from "../domain/takes.ts";
import type { Rehearsal } from "../ports.ts";
import type { AdmitDependencies } from "./admit.ts";

export interface ExplainDependencies extends Pick<AdmitDependencies, "keyOf" | "limiter" | "digest" | "clock"> {
  readonly rehearsal: Rehearsal;
  /** Those that the ingress has, by name. */
  readonly guardrails: ReadonlySet<string>;
  readonly newId: () => string;
}

export interface LimitVerdict {
  readonly limit: string;
  readonly takes: number;
  readonly state: LimitState;
  readonly refuses: boolean;
}

export interface BudgetVerdict {
  readonly budget: string;
  readonly takes: bigint;
  readonly state: RehearsedBudget;
  readonly refuses: boolean;
}

export interface Explanation extends RuleVerdict {
  readonly key: KeyPolicy;
  readonly limits: readonly LimitVerdict[];
  readonly budgets: readonly BudgetVerdict[];
}

/** @throws WeirError not_found for a key that the caller may not see, policy_unavailable */
export async function explain(
  dependencies: ExplainDependencies,
  caller: Caller,
  keyId: string,
  request: ImaginedRequest,
): Promise<Explanation> {
  const key = await dependencies.keyOf(keyId);
  if (key instanceof WeirError) throw key.reason === "invalid_key" ? new WeirError("not_found", key.message) : key;
  requireVisible(caller, { ...key, kind: "key", id: key.keyId }, keyId);
  const rules = ruleVerdict(key, request, dependencies.guardrails);
  const admission = admissionOf(dependencies, key, request, rules);
  const limits = await limitVerdicts(dependencies, key, admission, rules);
  const budgets = await budgetVerdicts(dependencies, key, admission, rules.hold);
  const error = objection(admission, key, dependencies.clock.nowMs());
  const expired = error === undefined ? undefined : { error, rule: "key" };
  const refusal = expired ?? rules.refusal ?? limits.refusal ?? budgets.refusal;
  return { ...rules, key, limits: limits.verdicts, budgets: budgets.verdicts, refusal };
}

const NOTHING: Amounts = { costNanos: 0n, tokens: 0n };

/** What the ingress would ask. */
function admissionOf(
  { newId }: ExplainDependencies,
  key: KeyPolicy,
  request: ImaginedRequest,
  { attributes, hold }: RuleVerdict,
): Admission {
  const { model, clientIp, inputTokens, outputTokens, runId } = request;
  const tokens = BigInt(inputTokens + outputTokens);
  return {
    requestId: newId(),
    keyId: key.keyId,
    model,
    clientIp,
    ...attributes,
    bound: hold ?? { ...NOTHING, tokens },
    inputTokens,
    outputTokens,
    maxWaitMs: 0,
    priority: 0,
    runId,
    callDigest: "",
  };
}

interface Part<T> {
  readonly verdicts: readonly T[];
  readonly refusal: Refusal | undefined;
}

async function limitVerdicts(
  { limiter, digest }: ExplainDependencies,
  key: KeyPolicy,
  admission: Admission,
  { candidates }: RuleVerdict,
): Promise<Part<LimitVerdict>> {
  const own = takesOf(key, admission, digest);
  const providers = new Set(candidates.filter(({ allowed }) => allowed).map(({ candidate }) => candidate.provider));
  const perProvider = [...providers].flatMap((provider) => providerTakesOf(key, { ...admission, provider }));
  const takes = [...own, ...perProvider];
  if (takes.length === 0) return { verdicts: [], refusal: undefined };
  const seen = await limiter.peek(takes);
  if (seen === "unavailable") return { verdicts: [], refusal: refusalIn(limitVerdict(takes, "unavailable")) };
  const { states, nowUs } = seen;
  const verdicts = takes.map((take, index): LimitVerdict => {
    const state = states[index] as number;
    return {
      limit: limitRule(take.limit),
      takes: take.kind === "slot" ? 1 : take.cost,
      state: stateOf(take, state, nowUs),
      refuses: !takeFits(take, state, nowUs),
    };
  });
  return { verdicts, refusal: limitRefusal(own, seen) };
}

/** Limits per provider refuse an attempt, after which another provider may serve: no refusal of the request. */
function limitRefusal(takes: readonly Take[], { states, nowUs }: BucketVerdict): Refusal | undefined {
  const impossible = impossibleTake(takes);
  if (impossible !== undefined) return { error: neverWithin(impossible), rule: limitRule(impossible.limit) };
  const refused = takes.findIndex((take, index) => !takeFits(take, states[index] as number, nowUs));
  return refused === -1
    ? undefined
    : refusalIn(limitVerdict(takes, { refused, states: states.slice(0, takes.length), nowUs }));
}

async function budgetVerdicts(
  { rehearsal, digest }: ExplainDependencies,
  key: KeyPolicy,
  admission: Admission,
  hold: Amounts | undefined,
): Promise<Part<BudgetVerdict>> {
  const { budgets } = pathOf(key, admission);
  const place = holdPlace(budgets, admission, digest);
  if (place === undefined) return { verdicts: [], refusal: undefined };
  const { requestId, bound } = admission;
  const { verdict, states } = await rehearsal.hold({ requestId, attempt: 1, place, bound });
  const refusing = verdict.kind === "refused" || verdict.kind === "repeated" ? verdict.budgetId : undefined;
  const byId = new Map(budgets.map((budget) => [budget.id, budget]));
  const verdicts = place.budgetIds.map((id, index): BudgetVerdict => {
    const budget = byId.get(id) as BudgetOnPath;
    return {
      budget: budgetRule(budget),
      takes: amountOf(budget.unit, bound),
      state: states[index] as RehearsedBudget,
      refuses: id === refusing,
    };
  });
  return { verdicts, refusal: refusalIn(holdVerdict(budgets, bound, verdict)) ?? unpriced(budgets, hold) };
}

/** What has no bound is not held against money: the ingress refuses it before anything is counted. */
function unpriced(budgets: readonly BudgetOnPath[], hold: Amounts | undefined): Refusal | undefined {
  const money = budgets.find(({ unit }) => unit === "nano-usd");
  if (hold !== undefined || money === undefined) return undefined;
  const message =
    "Nobody that may serve it is known, or one of them has no known price: nothing is held against money.";
  return { error: new WeirError("price_unknown", message), rule: budgetRule(money) };
}

const refusalIn = (verdict: ReturnType<typeof limitVerdict>): Refusal | undefined =>
  verdict.kind === "refused" ? { error: verdict.error, rule: verdict.rule } : undefined;
