import { fits, remaining, waitUs } from "./gcra.ts";
import type { LimitUnit } from "./key-policy.ts";
import type { Take } from "./takes.ts";

export interface BucketVerdict {
  /** The index of the first take that does not fit; undefined: all were taken. */
  readonly refused: number | undefined;
  /** Of each bucket after this request: a rate's state in microseconds of `nowUs`'s clock, or how many slots are taken. */
  readonly states: readonly number[];
  readonly nowUs: number;
}

/** The state of a limit after a look at it, for x-ratelimit headers. */
export interface LimitState {
  readonly unit: LimitUnit;
  /** Tells it from the other limits of the same request. */
  readonly name: string;
  readonly limit: number;
  readonly remaining: number;
  /** Until it is full again; 0 for concurrency, of which nobody knows. */
  readonly resetMs: number;
  readonly windowMs: number;
}

/** Nobody knows when a request that runs ends. */
const SLOT_RETRY_MS = 1000;

export function stateOf(take: Take, state: number, nowUs: number): LimitState {
  const { id, unit, per, amount, windowMs } = take.limit;
  const common = { unit, name: `${unit}-per-${per}-${id}`, limit: amount, windowMs };
  return take.kind === "slot"
    ? { ...common, remaining: Math.max(0, take.capacity - state), resetMs: 0 }
    : {
        ...common,
        remaining: remaining(take.rate, state, nowUs),
        resetMs: Math.max(0, Math.ceil((state - nowUs) / 1000)),
      };
}

/** The tightest first: the smallest share left. */
export const tightestFirst = (states: LimitState[]): LimitState[] =>
  states.sort((a, b) => a.remaining / a.limit - b.remaining / b.limit || b.resetMs - a.resetMs);

export const takeFits = (take: Take, state: number, nowUs: number): boolean =>
  take.kind === "slot" ? state < take.capacity : fits(state, nowUs, take.incUs, take.rate.toleranceUs);

/** Of a take that does not fit: when it would, if nobody else takes. */
const waitMs = (take: Take, state: number, nowUs: number): number =>
  take.kind === "slot"
    ? SLOT_RETRY_MS
    : Math.max(1, Math.ceil(waitUs(state, nowUs, take.incUs, take.rate.toleranceUs) / 1000));

export interface Obstacle {
  readonly take: Take;
  /** Until the whole request fits, if nobody else takes: not earlier, for any of its limits. */
  readonly waitMs: number;
}

/** What a refused request has to wait for the longest. */
export function obstacleOf(takes: readonly Take[], { refused = 0, states, nowUs }: BucketVerdict): Obstacle {
  let obstacle: Obstacle | undefined;
  for (const [index, take] of takes.entries()) {
    const state = states[index] as number;
    if (takeFits(take, state, nowUs)) continue;
    const wait = waitMs(take, state, nowUs);
    if (obstacle === undefined || wait > obstacle.waitMs) obstacle = { take, waitMs: wait };
  }
  return obstacle ?? { take: takes[refused] as Take, waitMs: 1 };
}

/** Whether nothing but limits that queue stands in the way. */
export const onlyQueuesObstruct = (takes: readonly Take[], { states, nowUs }: BucketVerdict): boolean =>
  takes.every((take, index) => take.limit.queue !== undefined || takeFits(take, states[index] as number, nowUs));
