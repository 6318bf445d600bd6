import { WeirError } from "@weir/kernel";
import type { AttributeKind } from "@weir/rules";
import type { LimitSubject, LimitUnit, PlaceKind } from "./key-policy.ts";

/** A limit as it is set. */
export interface LimitTerms {
  readonly per: LimitSubject;
  readonly unit: LimitUnit;
  readonly amount: number;
  /** 0 for concurrency. */
  readonly windowMs: number;
  readonly burst: number;
  readonly failClosed: boolean;
  /** Of a limit per model or provider: the one that it is for; "" or undefined: each by itself. */
  readonly only?: string | undefined;
  readonly queue?: QueueTerms | undefined;
}

export interface QueueTerms {
  readonly maxWaitMs: number;
  readonly maxLength: number;
  /** By a workspace's name; others weigh 1. */
  readonly weights: Readonly<Record<string, number>>;
}

export interface AskedLimit extends Omit<LimitTerms, "burst"> {
  /** Undefined: a tenth of the amount. */
  readonly burst: number | undefined;
}

/** Beyond this no rate is meant, and the limits' arithmetic would not be exact. */
const MOST_AMOUNT = 1e12;
const MOST_AT_A_TIME = 100_000;
const MOST_BURST_WINDOWS = 1000;
const MOST_WAIT_MS = 600_000;
const MOST_WAITING = 10_000;
const MOST_WEIGHTS = 1000;
const MOST_WEIGHT = 1000;

const isFrom = (least: number, value: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most;

/** @throws WeirError invalid_request, naming what is wrong */
export function checkedLimit(place: PlaceKind | AttributeKind, asked: AskedLimit): LimitTerms {
  const wrong = (param: string, message: string): WeirError => new WeirError("invalid_request", message, { param });
  const { amount, windowMs, per, unit, only = "", queue } = asked;
  const isConcurrency = unit === "concurrency";
  if (isConcurrency) {
    if (!isFrom(1, amount, MOST_AT_A_TIME))
      throw wrong("amount", `From 1 to ${MOST_AT_A_TIME} requests may run at a time.`);
    if (windowMs !== 0) throw wrong("window_ms", "What runs at a time has no window.");
  } else {
    if (!isFrom(1, amount, MOST_AMOUNT)) throw wrong("amount", "A limit's amount is from 1 to 10^12.");
    if (!isFrom(1000, windowMs, 86_400_000)) throw wrong("window_ms", "A window is from a second to a day.");
  }
  const burst = asked.burst ?? (isConcurrency ? 0 : Math.floor(amount / 10));
  if (!isFrom(0, burst, isConcurrency ? 0 : amount * MOST_BURST_WINDOWS))
    throw wrong(
      "burst",
      isConcurrency
        ? "What runs at a time has no burst."
        : `A burst is from 0 to ${MOST_BURST_WINDOWS} times the amount.`,
    );
  if (only !== "" && per !== "model" && per !== "provider")
    throw wrong("only", "Only a limit per model or provider can be for one of them.");
  if (only.length > 256) throw wrong("only", "A name has up to 256 characters.");
  if (per === "provider" && (place === "end-user" || place === "tag"))
    throw wrong("per", "A limit per provider stands on an organization, a workspace, a project or a key.");
  if (queue !== undefined) checkQueue(queue, per, unit, wrong);
  return { per, unit, amount, windowMs, burst, failClosed: asked.failClosed, only, queue };
}

function checkQueue(
  { maxWaitMs, maxLength, weights }: QueueTerms,
  per: LimitSubject,
  unit: LimitUnit,
  wrong: (param: string, message: string) => WeirError,
): void {
  if (per !== "model" || unit === "concurrency")
    throw wrong("queue", "Requests wait under limits per model, of requests or tokens.");
  if (!isFrom(1, maxWaitMs, MOST_WAIT_MS)) throw wrong("queue.max_wait_ms", "A request waits for up to 10 minutes.");
  if (!isFrom(1, maxLength, MOST_WAITING)) throw wrong("queue.max_length", `From 1 to ${MOST_WAITING} requests wait.`);
  const all = Object.values(weights);
  if (all.length > MOST_WEIGHTS || !all.every((weight) => isFrom(1, weight, MOST_WEIGHT)))
    throw wrong("queue.weights", `A weight is from 1 to ${MOST_WEIGHT}.`);
}
