/**
 * Admission: limits first, then holds, each request wholly or not at all. Failure policy: a request whose key has a hard budget is
 * refused while the ledger is away; under soft budgets only it goes on, uncounted.
 */
import { type Clock, WeirError } from "@weir/kernel";
import {
  type Admission,
  type AdmissionVerdict,
  FREE,
  holdVerdict,
  impossibleBound,
  limitVerdict,
  neverWithin,
  NO_LIMITS,
  objection,
  refused,
} from "../domain/admission.ts";
import { impossibleAmount } from "../domain/amounts.ts";
import { type KeyPolicy, limitRule } from "../domain/key-policy.ts";
import type { HoldRequest, HoldVerdict } from "../domain/ledger.ts";
import { impossibleTake, takesOf } from "../domain/limits.ts";
import { anyBudgetOf, pathOf, type RequestPath } from "../domain/path.ts";
import type { BucketRequest, Ledger } from "../ports.ts";
import type { Limiter } from "./limiter.ts";

/**
 * A key's policy, looked for again where this replica does not know it yet; or why there is none: invalid_key, or policy_unavailable
 * where that cannot be known.
 */
export type FindKey = (keyId: string) => KeyPolicy | Promise<KeyPolicy | WeirError>;

export interface AdmitDependencies {
  readonly ledger: Ledger;
  readonly limiter: Limiter;
  readonly keyOf: FindKey;
  readonly digest: (text: string) => string;
  readonly clock: Clock;
}

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
    if (key instanceof WeirError) {
      verdicts[index] = refused(key, "");
      continue;
    }
    const error = objection(admission, key, clock.nowMs());
    if (error !== undefined) {
      verdicts[index] = refused(error, "");
      continue;
    }
    keys[index] = key;
    const takes = takesOf(key, admission, digest);
    if (takes.length === 0) continue;
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
    const budgetIds = budgetIdsOf(pathOf(key, admissions[index] as Admission));
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
    const admission = admissions[index] as Admission;
    const verdict = holdVerdict(
      pathOf(key, admission).budgets,
      admission.bound,
      answers instanceof WeirError ? answers : answers[at],
    );
    if (verdict.kind === "refused" && limits.length > 0) giveBack.push(admission.requestId);
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
  return holdVerdict(
    key === undefined ? undefined : anyBudgetOf(key),
    hold.bound,
    answers instanceof WeirError ? answers : answers[0],
  );
}

const budgetIds = new WeakMap<RequestPath, readonly number[]>();

/** One array per path: the ledger sends each path once and tells them apart by identity. */
function budgetIdsOf(path: RequestPath): readonly number[] {
  let ids = budgetIds.get(path);
  if (ids === undefined) {
    ids = path.budgets.map((budget) => budget.id);
    budgetIds.set(path, ids);
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
