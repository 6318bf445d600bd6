/**
 * Rate limits of this process alone: of a single replica, or of each replica while Redis is away. Bounded, whatever end users and addresses
 * clients make up, and what is left out errs to the safe side: once there are `maxBuckets`, those without a bucket of their own share
 * one per limit, and take from each other; of more than `maxRequests` the oldest are forgotten, so what they took stays taken, and a
 * slot of theirs is free when its lease is over.
 */
import { correctionUs, fits, forgottenAtUs, giveBackUs, NEVER_US, type Rate, taken } from "../domain/gcra.ts";
import type { LimitUnit } from "../domain/key-policy.ts";
import type { BucketVerdict } from "../domain/limits.ts";
import type { Take } from "../domain/takes.ts";
import { type BucketRequest, type Buckets, SLOT_LEASE_MS, type TokensUsed, type Use } from "../ports.ts";
import { MEMORY_US } from "./bucket-memory.ts";

interface Bucket {
  tatUs: number;
  rate: Rate;
  /** What was given back in all. */
  backUs: number;
}

/** Who holds a slot, and until when. */
type Slots = Map<string, number>;

interface TakenRate {
  readonly kind: "rate";
  readonly name: string;
  readonly rate: Rate;
  readonly incUs: number;
  readonly unit: LimitUnit;
  /** The bucket's state right after the take, less what was given back of it. */
  tatUs: number;
  /** What the bucket had been given back in all by then, and of this take since. */
  backUs: number;
}

type TakenOne = TakenRate | { readonly kind: "slot"; readonly name: string };

interface Taken {
  buckets: readonly TakenOne[];
  readonly attempts: Set<number>;
  untilUs: number;
}

export interface MemoryBucketsOptions {
  /** Of any start, never stepping back. */
  readonly nowUs: () => number;
  /** Default 100,000 each. */
  readonly maxBuckets?: number;
  readonly maxRequests?: number;
  /** For tests. */
  readonly leaseMs?: number;
}

/** Of a full memory only so often is looked for what may be forgotten: it is a walk over all of it. */
const SWEEP_EVERY_US = 1_000_000;
const FIRST_SWEEP = 10_000;

const FULL = 100_000;

export function memoryBuckets(options: MemoryBucketsOptions): Buckets {
  const { nowUs, maxBuckets = FULL, maxRequests = FULL } = options;
  const leaseUs = (options.leaseMs ?? SLOT_LEASE_MS) * 1000;
  const rates = new Map<string, Bucket>();
  const slots = new Map<string, Slots>();
  const requests = new Map<string, Taken>();
  let nextSweep = FIRST_SWEEP;
  let sweptUs = NEVER_US;

  /** The bucket of a take: its own, or the one that all without one share. Newcomers share it for as long as it says anything. */
  function nameOf({ kind, bucket, limit }: Take, now: number): string {
    if ((kind === "slot" ? slots : rates).has(bucket)) return bucket;
    const crowd = `crowd:${limit.id}`;
    if (rates.size + slots.size >= maxBuckets) return crowd;
    if (kind === "slot") return inUse(crowd, now) > 0 ? crowd : bucket;
    const shared = rates.get(crowd);
    return shared !== undefined && forgottenAtUs(shared.rate, shared.tatUs) > now ? crowd : bucket;
  }

  function inUse(name: string, now: number): number {
    const held = slots.get(name);
    if (held === undefined) return 0;
    for (const [id, untilUs] of held) if (untilUs <= now) held.delete(id);
    if (held.size === 0) slots.delete(name);
    return held.size;
  }

  const stateOf = ({ kind }: Take, name: string, now: number): number =>
    kind === "slot" ? inUse(name, now) : (rates.get(name)?.tatUs ?? NEVER_US);

  function hold(name: string, id: string, now: number): void {
    let held = slots.get(name);
    if (held === undefined) slots.set(name, (held = new Map()));
    held.set(id, now + leaseUs);
  }

  function release(name: string, id: string): void {
    const held = slots.get(name);
    if (held?.delete(id) === true && held.size === 0) slots.delete(name);
  }

  function take({ id, takes }: BucketRequest, now: number): BucketVerdict {
    const names = takes.map((one) => nameOf(one, now));
    const states = takes.map((one, i) => stateOf(one, names[i] as string, now));
    if (requests.has(id)) return { refused: undefined, states, nowUs: now };
    const refused = takes.findIndex((one, i) => {
      const state = states[i] as number;
      return one.kind === "slot" ? state >= one.capacity : !fits(state, now, one.incUs, one.rate.toleranceUs);
    });
    if (refused !== -1) return { refused, states, nowUs: now };
    let untilUs = now + MEMORY_US.shortest;
    const buckets = takes.map((one, i): TakenOne => {
      const name = names[i] as string;
      if (one.kind === "slot") {
        hold(name, id, now);
        states[i] = (states[i] as number) + 1;
        untilUs = Math.max(untilUs, now + 2 * leaseUs);
        return { kind: "slot", name };
      }
      const { rate, incUs, limit } = one;
      const tatUs = taken(states[i] as number, now, incUs);
      const backUs = rates.get(name)?.backUs ?? 0;
      rates.set(name, { tatUs, rate, backUs });
      states[i] = tatUs;
      untilUs = Math.max(untilUs, Math.min(tatUs, now + MEMORY_US.longest));
      return { kind: "rate", name, rate, incUs, unit: limit.unit, tatUs, backUs };
    });
    requests.set(id, { buckets, attempts: new Set(), untilUs });
    return { refused: undefined, states, nowUs: now };
  }

  function back(one: TakenRate, wantedUs: number, now: number): void {
    const bucket = rates.get(one.name);
    if (bucket === undefined) return;
    const us = giveBackUs(one.tatUs, bucket.backUs - one.backUs, now, wantedUs);
    bucket.tatUs -= us;
    bucket.backUs += us;
    one.tatUs -= us;
    one.backUs += us;
  }

  function correct(one: TakenRate, used: number, isFirst: boolean, now: number): void {
    const us = correctionUs(one.rate, one.incUs, used, isFirst);
    if (us < 0) back(one, 0 - us, now);
    else if (us > 0) {
      const bucket = rates.get(one.name);
      const tatUs = taken(bucket?.tatUs ?? NEVER_US, now, us);
      rates.set(one.name, { tatUs, rate: one.rate, backUs: bucket?.backUs ?? 0 });
    }
  }

  function settle({ id, attempt, tokens, over }: Use, now: number): void {
    const request = requests.get(id);
    if (request === undefined) return;
    if (tokens !== undefined && !request.attempts.has(attempt)) {
      const isFirst = request.attempts.size === 0;
      request.attempts.add(attempt);
      for (const one of request.buckets) {
        const used = one.kind === "rate" ? usedOf(one.unit, tokens) : undefined;
        if (used !== undefined) correct(one as TakenRate, used, isFirst, now);
      }
    }
    if (!over) return;
    for (const one of request.buckets) if (one.kind === "slot") release(one.name, id);
    // A slot that is free is forgotten, so that a late renewal does not take it again.
    request.buckets = request.buckets.filter(({ kind }) => kind === "rate");
  }

  function sweep(now: number): void {
    const size = rates.size + slots.size + requests.size;
    const full = requests.size >= maxRequests || rates.size + slots.size >= maxBuckets;
    if (size < nextSweep && !(full && now - sweptUs >= SWEEP_EVERY_US)) return;
    sweptUs = now;
    for (const [name, { rate, tatUs }] of rates) if (forgottenAtUs(rate, tatUs) <= now) rates.delete(name);
    for (const name of slots.keys()) inUse(name, now);
    for (const [id, { untilUs }] of requests) if (untilUs <= now) requests.delete(id);
    for (const id of requests.keys()) {
      if (requests.size <= maxRequests) break;
      requests.delete(id);
    }
    nextSweep = Math.max(FIRST_SWEEP, 2 * (rates.size + slots.size + requests.size));
  }

  return {
    async take(batch) {
      const now = nowUs();
      sweep(now);
      return batch.map((request) => take(request, now));
    },
    async peek(takes) {
      const now = nowUs();
      return { refused: undefined, states: takes.map((one) => stateOf(one, nameOf(one, now), now)), nowUs: now };
    },
    async giveBack(ids) {
      const now = nowUs();
      for (const id of ids) {
        for (const one of requests.get(id)?.buckets ?? []) {
          if (one.kind === "rate") back(one, one.incUs, now);
          else release(one.name, id);
        }
        requests.delete(id);
      }
    },
    async settle(uses) {
      const now = nowUs();
      for (const use of uses) settle(use, now);
    },
    async renew(ids) {
      const now = nowUs();
      for (const id of ids) {
        const request = requests.get(id);
        if (request === undefined) continue;
        const held = request.buckets.filter(({ kind }) => kind === "slot");
        for (const { name } of held) hold(name, id, now);
        if (held.length > 0) request.untilUs = Math.max(request.untilUs, now + 2 * leaseUs);
      }
    },
  };
}

/** What of an attempt's tokens a limit counts; undefined: none, or nobody knows. */
function usedOf(unit: LimitUnit, { total, parts }: TokensUsed): number | undefined {
  switch (unit) {
    case "tokens":
      return total;
    case "input-tokens":
      return parts?.input;
    case "output-tokens":
      return parts?.output;
    case "requests":
    case "concurrency":
      return undefined;
  }
}
