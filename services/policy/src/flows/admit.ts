/**
 * Admission: limits first, then holds, each request wholly or not at all. Failure policy: a request whose key has a hard budget is
 * refused while the ledger is away; under soft budgets only it goes on, uncounted. Limits have a policy of their own: see limiter.ts.
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
import { onlyQueuesObstruct } from "../domain/limits.ts";
import { anyBudgetOf, pathOf } from "../domain/path.ts";
import { holdPlace } from "../domain/subjects.ts";
import { impossibleTake, providerTakesOf, type Take, takesOf } from "../domain/takes.ts";
import { type BucketRequest, type Ledger, recordOfAttempt } from "../ports.ts";
import type { Limiter, LimiterVerdict } from "./limiter.ts";
import { queueTakeOf, type Unserved, type WaitingLines } from "./waiting-lines.ts";

/**
 * A key's policy, looked for again where this replica does not know it yet; or why there is none: invalid_key, or policy_unavailable
 * where that cannot be known.
 */
export type FindKey = (keyId: string) => KeyPolicy | Promise<KeyPolicy | WeirError>;

export interface AdmitDependencies {
  readonly ledger: Ledger;
  readonly limiter: Limiter;
  readonly lines: WaitingLines;
  readonly keyOf: FindKey;
  readonly digest: (text: string) => string;
  readonly clock: Clock;
}

/** A request that nothing spoke against so far. */
interface Entry {
  readonly admission: Admission;
  readonly key: KeyPolicy;
  readonly takes: readonly Take[];
}

export async function admit(
  dependencies: AdmitDependencies,
  owner: string,
  admissions: readonly Admission[],
): Promise<AdmissionVerdict[]> {
  const { ledger, limiter, lines } = dependencies;
  const verdicts: (AdmissionVerdict | undefined)[] = admissions.map(() => undefined);
  const entries: (Entry | undefined)[] = admissions.map(() => undefined);
  const limited: { index: number; request: BucketRequest }[] = [];
  for (let index = 0; index < admissions.length; index++) {
    const checked = check(dependencies, admissions[index] as Admission);
    const entry = checked instanceof Promise ? await checked : checked;
    if (isVerdict(entry)) {
      verdicts[index] = entry;
      continue;
    }
    entries[index] = entry;
    const { admission, takes } = entry;
    if (takes.length === 0) continue;
    if (admission.maxWaitMs !== 0 && lines.isBusy(takes)) verdicts[index] = waitingFor(takes, admission);
    else limited.push({ index, request: { id: admission.requestId, takes } });
  }

  if (limited.length > 0) {
    const taken = await limiter.take(limited.map(({ request }) => request));
    for (const [at, { index, request }] of limited.entries()) {
      const verdict = taken[at] ?? "unavailable";
      const { admission } = entries[index] as Entry;
      verdicts[index] = mayWait(request.takes, verdict, admission)
        ? waitingFor(request.takes, admission)
        : limitVerdict(request.takes, verdict);
    }
  }

  const held: number[] = [];
  const holds: HoldRequest[] = [];
  for (let index = 0; index < admissions.length; index++) {
    const entry = entries[index];
    const kind = verdicts[index]?.kind;
    if (entry === undefined || kind === "refused" || kind === "waiting") continue;
    const { admission, key } = entry;
    const place = holdPlace(pathOf(key, admission).budgets, admission, dependencies.digest);
    if (place === undefined) {
      verdicts[index] ??= FREE;
      continue;
    }
    const { requestId, bound } = admission;
    held.push(index);
    holds.push({ requestId, attempt: 1, owner, place, bound });
  }
  if (holds.length === 0) return verdicts as AdmissionVerdict[];

  const answers = await holdOrError(ledger, holds);
  const giveBack: string[] = [];
  for (const [at, index] of held.entries()) {
    const { admission, key, takes } = entries[index] as Entry;
    const limits = verdicts[index]?.limits ?? NO_LIMITS;
    const verdict = holdVerdict(
      pathOf(key, admission).budgets,
      admission.bound,
      answers instanceof WeirError ? answers : answers[at],
    );
    if (verdict.kind === "refused" && takes.length > 0) giveBack.push(admission.requestId);
    verdicts[index] = limits.length === 0 ? verdict : { ...verdict, limits };
  }
  if (giveBack.length > 0) await limiter.giveBack(giveBack);
  return verdicts as AdmissionVerdict[];
}

const isVerdict = (value: Entry | AdmissionVerdict): value is AdmissionVerdict => "kind" in value;

/** What speaks against a request before anything is counted, or what it takes. */
function check(dependencies: AdmitDependencies, admission: Admission): Checked | Promise<Checked> {
  const found = dependencies.keyOf(admission.keyId);
  return found instanceof Promise
    ? found.then((key) => checkWith(dependencies, admission, key))
    : checkWith(dependencies, admission, found);
}

type Checked = Entry | AdmissionVerdict;

function checkWith({ digest, clock }: AdmitDependencies, admission: Admission, key: KeyPolicy | WeirError): Checked {
  if (key instanceof WeirError) return refused(key, "");
  const error = objection(admission, key, clock.nowMs());
  if (error !== undefined) return refused(error, "");
  const takes = takesOf(key, admission, digest);
  const impossible = impossibleTake(takes);
  return impossible === undefined
    ? { admission, key, takes }
    : refused(neverWithin(impossible), limitRule(impossible.limit));
}

const mayWait = (takes: readonly Take[], verdict: LimiterVerdict, { maxWaitMs }: Admission): boolean =>
  verdict !== "unavailable" && verdict.refused !== undefined && maxWaitMs !== 0 && onlyQueuesObstruct(takes, verdict);

function waitingFor(takes: readonly Take[], { maxWaitMs = Infinity }: Admission): AdmissionVerdict {
  const longest = queueTakeOf(takes)?.queue.maxWaitMs ?? 0;
  return { kind: "waiting", maxWaitMs: Math.min(longest, maxWaitMs), limits: NO_LIMITS };
}

/**
 * Waits for its turn, then as `admit`. Whoever goes away loses the place; what was taken for it by then MUST be given back by a settlement.
 */
export async function awaitAdmission(
  dependencies: AdmitDependencies,
  owner: string,
  admission: Admission,
  signal: AbortSignal,
): Promise<AdmissionVerdict> {
  const { lines } = dependencies;
  const entry = await check(dependencies, admission);
  if (isVerdict(entry)) return entry;
  const { key, takes } = entry;
  // The limit may be gone by now.
  if (queueTakeOf(takes) !== undefined) {
    const { requestId: id, maxWaitMs, priority } = admission;
    const verdict = await lines.wait({ id, takes, workspaceId: key.workspaceId, maxWaitMs, priority }, signal);
    if (typeof verdict === "string" && verdict !== "unavailable") return unserved(takes, verdict);
    const limits = limitVerdict(takes, verdict);
    if (limits.kind !== "admitted") return limits;
  }
  // What the line took is remembered, so this takes nothing again.
  const [verdict] = await admit(dependencies, owner, [{ ...admission, maxWaitMs: 0 }]);
  return verdict as AdmissionVerdict;
}

function unserved(takes: readonly Take[], how: Unserved): AdmissionVerdict {
  const limit = queueTakeOf(takes)?.limit;
  const rule = limit === undefined ? "" : limitRule(limit);
  switch (how) {
    case "late":
      return refused(
        new WeirError("rate_limited", `Its turn under the ${rule} did not come in time.`, { retryAfterMs: 1000 }),
        rule,
      );
    case "full":
      return refused(new WeirError("rate_limited", `Too many wait under the ${rule}.`, { retryAfterMs: 1000 }), rule);
    case "gone":
      return refused(new WeirError("client_closed", "Its caller went away."), "");
    case "closing":
      return refused(new WeirError("policy_unavailable", "This replica is stopping.", { retryAfterMs: 1000 }), "");
  }
}

/** An attempt that is about to be made. */
export interface AskedAttempt extends Omit<HoldRequest, "place"> {
  readonly keyId: string;
  /** "": limits per provider are not asked for. */
  readonly provider: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * One more attempt: it takes the limits of its provider, and is held where the first is. The first one is held already, and so is nothing of
 * a request without an owner: those take limits only. All or nothing.
 * @param key whose request it is; undefined where the caller did not say, or nobody knows it any more
 */
export async function extend(
  dependencies: Pick<AdmitDependencies, "ledger" | "limiter" | "keyOf">,
  asked: AskedAttempt,
  key: KeyPolicy | undefined,
): Promise<AdmissionVerdict> {
  const { ledger, limiter } = dependencies;
  const wrong = impossibleAmount(asked.bound);
  if (wrong !== undefined) return refused(impossibleBound(wrong), "");
  const limits = asked.provider === "" ? FREE : await takeProvider(dependencies, asked);
  if (limits.kind !== "admitted" || asked.attempt === 1 || asked.owner === "") return limits;
  const { requestId, attempt, owner, bound } = asked;
  const answers = await holdOrError(ledger, [{ requestId, attempt, owner, bound, place: undefined }]);
  const verdict = holdVerdict(
    key === undefined ? undefined : anyBudgetOf(key),
    bound,
    answers instanceof WeirError ? answers : answers[0],
  );
  if (verdict.kind === "refused" && limits.limits.length > 0)
    await limiter.giveBack([recordOfAttempt(requestId, attempt)]);
  return verdict;
}

async function takeProvider(
  { limiter, keyOf }: Pick<AdmitDependencies, "limiter" | "keyOf">,
  asked: AskedAttempt,
): Promise<AdmissionVerdict> {
  const key = await keyOf(asked.keyId);
  if (key instanceof WeirError) return refused(key, "");
  const takes = providerTakesOf(key, asked);
  if (takes.length === 0) return FREE;
  const impossible = impossibleTake(takes);
  if (impossible !== undefined) return refused(neverWithin(impossible), limitRule(impossible.limit));
  const [verdict] = await limiter.take([{ id: recordOfAttempt(asked.requestId, asked.attempt), takes }]);
  return limitVerdict(takes, verdict ?? "unavailable");
}

async function holdOrError(ledger: Ledger, holds: readonly HoldRequest[]): Promise<HoldVerdict[] | WeirError> {
  try {
    return await ledger.hold(holds);
  } catch (error) {
    if (error instanceof WeirError) return error;
    throw error;
  }
}
