/**
 * The generic cell rate algorithm (ITU-T I.371) with a cost per take. All times are whole microseconds, so that this file and the Lua
 * in adapters/redis-buckets.ts, which runs the same arithmetic on doubles, agree to the last bit.
 *
 * Promise: `amount` per window steadily, and at most `amount + burst` in any half-open window. The whole state is one number, `tatUs`
 * (theoretical arrival time): when the bucket is full again. A take above the burst is allowed if the bucket has been full for the
 * time that the excess takes: that is why tatUs is compared before it is raised to now, and what keeps the promise for any cost.
 * A burst of 0 spaces: one at a time, each as long after the last as the rate needs for it, and never more than `amount` in a window.
 */
export interface Rate {
  readonly amount: number;
  readonly burst: number;
  readonly windowUs: number;
  /** How far tatUs may lie ahead: the time that burst + 1 take. */
  readonly toleranceUs: number;
}

/** No take so far: full since ever. */
export const NEVER_US = -Infinity;

export function rateOf(amount: number, windowMs: number, burst: number): Rate {
  const windowUs = windowMs * 1000;
  return { amount, burst, windowUs, toleranceUs: Math.ceil(((burst + 1) * windowUs) / amount) };
}

/**
 * What each of `replicas` may take so that together they take no more than the rate: the same amount in as many windows as there are replicas.
 * Where they are more than what may come at once, each may still take one.
 */
export function shareOf({ amount, burst, windowUs }: Rate, replicas: number): Rate {
  const least = Math.max(1, Math.floor((burst + 1) / replicas));
  const longerUs = windowUs * replicas;
  return { amount, burst: least - 1, windowUs: longerUs, toleranceUs: Math.ceil((least * longerUs) / amount) };
}

/** How long the rate needs for `cost`, rounded up: rounding never admits more. */
export const incrementUs = (rate: Rate, cost: number): number => Math.ceil((cost * rate.windowUs) / rate.amount);

/** A cost that no waiting makes admissible. */
export const neverFits = (rate: Rate, cost: number): boolean => cost > rate.amount + rate.burst;

export const fits = (tatUs: number, nowUs: number, incUs: number, toleranceUs: number): boolean =>
  tatUs + incUs - toleranceUs <= nowUs;

/** The state after a take. */
export const taken = (tatUs: number, nowUs: number, incUs: number): number => Math.max(tatUs, nowUs) + incUs;

/** When the same take would fit if nobody else takes; 0 = now. */
export const waitUs = (tatUs: number, nowUs: number, incUs: number, toleranceUs: number): number =>
  Math.max(0, tatUs + incUs - toleranceUs - nowUs);

/**
 * How much of a take may be given back: what time has not repaid yet. `takenTatUs` is the state right after that take, `sinceUs` what other
 * takes were given back since then: that lowered the state, so time repaid more of this one. More would let a bucket that refilled
 * meanwhile be emptied twice; with this the state is never below what it would be had the take been smaller from the start, so the promise
 * holds for what was really used.
 */
export const giveBackUs = (takenTatUs: number, sinceUs: number, nowUs: number, backUs: number): number =>
  Math.min(backUs, Math.max(0, takenTatUs - Math.max(0, sinceUs) - nowUs));

/**
 * What an attempt that used `used` changes of a take of `incUs`: below 0 to give back, above 0 to take in addition. The first attempt
 * corrects the estimate, further ones add to it. No correction makes a debt of more than two windows that the take was not itself.
 */
export function correctionUs(rate: Rate, incUs: number, used: number, isFirst: boolean): number {
  const usedUs = Math.min(incrementUs(rate, used), Math.max(incUs, 2 * rate.windowUs));
  return isFirst ? usedUs - incUs : usedUs;
}

/** Whole units that could be taken at once now, of at most burst + 1. */
export function remaining(rate: Rate, tatUs: number, nowUs: number): number {
  const roomUs = rate.toleranceUs - Math.max(0, tatUs - nowUs);
  return Math.max(0, Math.floor((roomUs * rate.amount) / rate.windowUs));
}

/** From when on a state says no more than NEVER_US does: the largest take that can ever fit fits again. */
export const forgottenAtUs = (rate: Rate, tatUs: number): number => tatUs + rate.windowUs;
