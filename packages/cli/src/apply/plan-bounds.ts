import type { BudgetSeed, LimitSeed, QueueSeed } from "@weir/config";
import { policy } from "@weir/contracts";
import { dollarsOf } from "@weir/kernel";
import { type PlannedPlace, placeKey } from "./planned-place.ts";
import type { Step } from "./step.ts";

const BUDGET_UNITS = {
  "nano-usd": policy.BudgetUnit.NANO_USD,
  tokens: policy.BudgetUnit.TOKENS,
  requests: policy.BudgetUnit.REQUESTS,
};
const PERIODS = {
  day: policy.BudgetPeriod.DAY,
  week: policy.BudgetPeriod.WEEK,
  month: policy.BudgetPeriod.MONTH,
  total: policy.BudgetPeriod.TOTAL,
};
const BUDGET_SUBJECTS = {
  none: policy.BudgetSubject.UNSPECIFIED,
  run: policy.BudgetSubject.RUN,
  "end-user": policy.BudgetSubject.END_USER,
};
const LIMIT_UNITS = {
  requests: policy.LimitUnit.REQUESTS,
  tokens: policy.LimitUnit.TOKENS,
  "input-tokens": policy.LimitUnit.INPUT_TOKENS,
  "output-tokens": policy.LimitUnit.OUTPUT_TOKENS,
  concurrency: policy.LimitUnit.CONCURRENCY,
};
const LIMIT_SUBJECTS = {
  key: policy.LimitSubject.KEY,
  project: policy.LimitSubject.PROJECT,
  workspace: policy.LimitSubject.WORKSPACE,
  "end-user": policy.LimitSubject.END_USER,
  "client-ip": policy.LimitSubject.CLIENT_IP,
  model: policy.LimitSubject.MODEL,
  provider: policy.LimitSubject.PROVIDER,
};

const wordOf = (words: Readonly<Record<string, number>>, number: number): string =>
  Object.keys(words).find((word) => words[word] === number) ?? String(number);

const amountText = (unit: BudgetSeed["unit"], amount: bigint): string =>
  unit === "nano-usd" ? `$${dollarsOf(amount)}` : String(amount);
const unitText = (unit: string): string => (unit === "nano-usd" ? "usd" : unit);

/** One of a kind stands at a place. */
const budgetKind = (unit: string, period: string, per: string): string =>
  `${period} ${unitText(unit)}${per === "none" ? "" : ` per ${per}`}`;

const kindOfBudget = ({ unit, period, per }: policy.Budget): string =>
  budgetKind(
    wordOf(BUDGET_UNITS, unit),
    wordOf(PERIODS, period),
    per === policy.BudgetSubject.UNSPECIFIED || per === policy.BudgetSubject.NONE
      ? "none"
      : wordOf(BUDGET_SUBJECTS, per),
  );

/** @param wanted undefined: nothing is said, so only what prunes looks at it */
export function budgetSteps(
  at: PlannedPlace,
  wanted: readonly BudgetSeed[] | undefined,
  all: readonly policy.Budget[],
  prune: boolean,
): Step[] {
  const there = new Map(all.filter(({ place }) => isAt(at, place)).map((budget) => [kindOfBudget(budget), budget]));
  const kindOf = ({ unit, period, per }: BudgetSeed): string => budgetKind(unit, period, per);
  return steps("budget", at, wanted ?? [], there, prune, {
    kindOf,
    changes: budgetChanges,
    put:
      ({ unit, period, per, limit, hard, maxIdenticalCalls = 0 }) =>
      ({ admin, call }) =>
        admin.putBudget(
          {
            place: at.place,
            unit: BUDGET_UNITS[unit],
            period: PERIODS[period],
            per: BUDGET_SUBJECTS[per],
            limit,
            hard,
            maxIdenticalCalls,
          },
          call,
        ),
    remove:
      ({ id }) =>
      ({ admin, call }) =>
        admin.deleteBudget({ budgetId: id }, call),
  });
}

function budgetChanges(wanted: BudgetSeed, there: policy.Budget | undefined): string[] {
  const { unit, limit, hard, maxIdenticalCalls = 0 } = wanted;
  const hardness = (of: boolean): string => (of ? "hard" : "soft");
  if (there === undefined) return [amountText(unit, limit), hardness(hard)];
  return [
    ...(there.limit === limit ? [] : [`limit: ${amountText(unit, there.limit)} → ${amountText(unit, limit)}`]),
    ...(there.hard === hard ? [] : [`${hardness(there.hard)} → ${hardness(hard)}`]),
    ...(there.maxIdenticalCalls === maxIdenticalCalls
      ? []
      : [`max_identical_calls: ${there.maxIdenticalCalls} → ${maxIdenticalCalls}`]),
  ];
}

const limitKind = (per: string, unit: string, windowMs: number, only: string): string =>
  `${unit.replace("-", " ")} per ${per}${only === "" ? "" : ` ${only}`}${windowMs === 0 ? "" : ` in ${windowMs / 1000} s`}`;

const kindOfLimit = ({ per, unit, windowMs, only }: policy.Limit): string =>
  limitKind(wordOf(LIMIT_SUBJECTS, per), wordOf(LIMIT_UNITS, unit), Number(windowMs), only);

export function limitSteps(
  at: PlannedPlace,
  wanted: readonly LimitSeed[] | undefined,
  all: readonly policy.Limit[],
  prune: boolean,
): Step[] {
  const there = new Map(all.filter(({ place }) => isAt(at, place)).map((limit) => [kindOfLimit(limit), limit]));
  const kindOf = ({ per, unit, windowMs, only = "" }: LimitSeed): string => limitKind(per, unit, windowMs, only);
  return steps("limit", at, wanted ?? [], there, prune, {
    kindOf,
    changes: limitChanges,
    put: ({ per, unit, amount, windowMs, burst, failClosed, only = "", queue }) => {
      const request = {
        place: at.place,
        per: LIMIT_SUBJECTS[per],
        unit: LIMIT_UNITS[unit],
        amount: BigInt(amount),
        windowMs: BigInt(windowMs),
        burst: BigInt(burst),
        failClosed,
        only,
        ...(queue === undefined ? {} : { queue: { ...queue, weights: { ...queue.weights } } }),
      };
      return ({ admin, call }) => admin.putLimit(request, call);
    },
    remove:
      ({ id }) =>
      ({ admin, call }) =>
        admin.deleteLimit({ limitId: id }, call),
  });
}

function limitChanges(wanted: LimitSeed, there: policy.Limit | undefined): string[] {
  const { amount, burst, failClosed, queue } = wanted;
  if (there === undefined)
    return [String(amount), ...(failClosed ? ["fail_closed"] : []), ...(queue === undefined ? [] : [queueText(queue)])];
  return [
    ...(Number(there.amount) === amount ? [] : [`amount: ${there.amount} → ${amount}`]),
    ...(Number(there.burst) === burst ? [] : [`burst: ${there.burst} → ${burst}`]),
    ...(there.failClosed === failClosed ? [] : [`fail_closed: ${there.failClosed} → ${failClosed}`]),
    ...(queueText(there.queue) === queueText(queue) ? [] : [`${queueText(there.queue)} → ${queueText(queue)}`]),
  ];
}

function queueText(queue: QueueSeed | undefined): string {
  if (queue === undefined) return "no queue";
  const { maxWaitMs, maxLength, weights } = queue;
  const shares = Object.entries(weights).map(([workspace, weight]) => ` ${workspace}=${weight}`);
  return `queue of ${maxLength} for ${maxWaitMs / 1000} s${shares.sort().join("")}`;
}

const isAt = ({ key }: PlannedPlace, place: policy.Place | undefined): boolean =>
  key !== undefined && placeKey(place) === key;

interface Kind<Wanted, There> {
  readonly kindOf: (wanted: Wanted) => string;
  readonly changes: (wanted: Wanted, there: There | undefined) => string[];
  readonly put: (wanted: Wanted, there: There | undefined) => Step["run"];
  readonly remove: (there: There) => Step["run"];
}

function steps<Wanted, There>(
  noun: string,
  { label }: PlannedPlace,
  wanted: readonly Wanted[],
  there: ReadonlyMap<string, There>,
  prune: boolean,
  { kindOf, changes, put, remove }: Kind<Wanted, There>,
): Step[] {
  const put_ = wanted.map((one): Step => {
    const present = there.get(kindOf(one));
    const details = changes(one, present);
    const verb = present === undefined ? "create" : details.length === 0 ? "keep" : "update";
    return { verb, what: `${noun} ${kindOf(one)} of ${label}`, details, run: put(one, present) };
  });
  if (!prune) return put_;
  const kept = new Set(wanted.map(kindOf));
  const gone = [...there].filter(([kind]) => !kept.has(kind));
  return [
    ...put_,
    ...gone.map(
      ([kind, one]): Step => ({
        verb: "delete",
        what: `${noun} ${kind} of ${label}`,
        details: [],
        run: remove(one),
      }),
    ),
  ];
}
