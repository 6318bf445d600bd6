import { correctionUs, fits, forgottenAtUs, giveBackUs, NEVER_US, type Rate, taken } from "../domain/gcra.ts";
import type { BucketVerdict } from "../domain/limits.ts";
import type { BucketRequest, Buckets, TokensUsed } from "../ports.ts";

interface Bucket {
  tatUs: number;
  rate: Rate;
}

interface TakenBucket {
  readonly name: string;
  readonly rate: Rate;
  readonly incUs: number;
  readonly isTokens: boolean;
  /** The bucket's state right after the take, less what was given back of it. */
  tatUs: number;
}

interface Taken {
  readonly buckets: TakenBucket[];
  readonly attempts: Set<number>;
  readonly until: number;
}

export interface MemoryBucketsOptions {
  /** Of any start, never stepping back. */
  readonly nowUs: () => number;
  /** At this many buckets or requests the forgotten ones are thrown out. Default 10,000. */
  readonly sweepAt?: number;
}

/** A request is remembered at least so long, for callers who ask again. */
export const REMEMBERED_US = 10_000_000;

/** Rate limits of this process alone: of a single replica, or of each replica while Redis is away. */
export function memoryBuckets({ nowUs, sweepAt = 10_000 }: MemoryBucketsOptions): Buckets {
  const buckets = new Map<string, Bucket>();
  const requests = new Map<string, Taken>();
  let nextSweep = sweepAt;

  function take(request: BucketRequest, now: number): BucketVerdict {
    const tats = request.takes.map((one) => buckets.get(one.bucket)?.tatUs ?? NEVER_US);
    if (requests.has(request.requestId)) return { refused: undefined, tatsUs: tats, nowUs: now };
    const refused = request.takes.findIndex(
      (one, i) => !fits(tats[i] ?? NEVER_US, now, one.incUs, one.rate.toleranceUs),
    );
    if (refused !== -1) return { refused, tatsUs: tats, nowUs: now };
    let until = now + REMEMBERED_US;
    const done = request.takes.map((one, i): TakenBucket => {
      const tatUs = taken(tats[i] ?? NEVER_US, now, one.incUs);
      buckets.set(one.bucket, { tatUs, rate: one.rate });
      until = Math.max(until, tatUs);
      return { name: one.bucket, rate: one.rate, incUs: one.incUs, isTokens: one.limit.unit === "tokens", tatUs };
    });
    requests.set(request.requestId, { buckets: done, attempts: new Set(), until });
    return { refused: undefined, tatsUs: done.map((one) => one.tatUs), nowUs: now };
  }

  function back(one: TakenBucket, wantedUs: number, now: number): void {
    const bucket = buckets.get(one.name);
    if (bucket === undefined) return;
    const us = giveBackUs(one.tatUs, now, wantedUs);
    bucket.tatUs -= us;
    one.tatUs -= us;
  }

  function settle(used: TokensUsed, now: number): void {
    const request = requests.get(used.requestId);
    if (request === undefined || request.attempts.has(used.attempt)) return;
    const isFirst = request.attempts.size === 0;
    request.attempts.add(used.attempt);
    for (const one of request.buckets) {
      if (!one.isTokens) continue;
      const us = correctionUs(one.rate, one.incUs, used.tokens, isFirst);
      if (us < 0) back(one, 0 - us, now);
      else if (us > 0) {
        const tatUs = taken(buckets.get(one.name)?.tatUs ?? NEVER_US, now, us);
        buckets.set(one.name, { tatUs, rate: one.rate });
      }
    }
  }

  function sweep(now: number): void {
    if (buckets.size + requests.size < nextSweep) return;
    for (const [name, { rate, tatUs }] of buckets) if (forgottenAtUs(rate, tatUs) <= now) buckets.delete(name);
    for (const [id, request] of requests) if (request.until <= now) requests.delete(id);
    nextSweep = Math.max(sweepAt, 2 * (buckets.size + requests.size));
  }

  return {
    async take(batch) {
      const now = nowUs();
      sweep(now);
      return batch.map((request) => take(request, now));
    },
    async giveBack(requestIds) {
      const now = nowUs();
      for (const id of requestIds) {
        for (const one of requests.get(id)?.buckets ?? []) back(one, one.incUs, now);
        requests.delete(id);
      }
    },
    async settle(batch) {
      const now = nowUs();
      for (const used of batch) settle(used, now);
    },
  };
}
