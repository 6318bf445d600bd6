/**
 * Rate limits with their failure policy. While Redis is away, a request under a limit that fails closed is refused at once, without
 * asking Redis; the other limits go on in this process alone, at their full rate per replica.
 */
import type { Clock } from "@weir/kernel";
import type { BucketVerdict } from "../domain/limits.ts";
import type { BucketRequest, Buckets, TokensUsed } from "../ports.ts";

/** After a failure Redis is left alone for so long, so that a hanging one costs one request its timeout and not each. */
const LEFT_ALONE_MS = 500;

export type LimiterVerdict = BucketVerdict | "unavailable";

export interface Limiter {
  take(requests: readonly BucketRequest[]): Promise<LimiterVerdict[]>;
  giveBack(requestIds: readonly string[]): Promise<void>;
  settle(used: readonly TokensUsed[]): Promise<void>;
}

export interface LimiterEvents {
  onAway(error: unknown): void;
  onBack(): void;
}

/** @param shared undefined: there is one replica, whose own buckets are the truth */
export function createLimiter(
  shared: Buckets | undefined,
  local: Buckets,
  clock: Clock,
  events: LimiterEvents,
): Limiter {
  let askAgainAtMs = -Infinity;
  let away = false;

  async function ask<T>(call: (buckets: Buckets) => Promise<T>): Promise<T | undefined> {
    if (shared === undefined || clock.monotonicMs() < askAgainAtMs) return undefined;
    try {
      const answer = await call(shared);
      if (away) events.onBack();
      away = false;
      return answer;
    } catch (error) {
      if (!away) events.onAway(error);
      away = true;
      askAgainAtMs = clock.monotonicMs() + LEFT_ALONE_MS;
      return undefined;
    }
  }

  return {
    async take(requests) {
      if (shared === undefined) return local.take(requests);
      const verdicts = await ask((buckets) => buckets.take(requests));
      if (verdicts !== undefined) return verdicts;
      const open = requests.filter(({ takes }) => !takes.some(({ limit }) => limit.failClosed));
      const own = await local.take(open);
      const verdictOf = new Map(open.map((request, index) => [request, own[index]]));
      return requests.map((request) => verdictOf.get(request) ?? "unavailable");
    },
    // Both: where a request was taken shows in who remembers it.
    async giveBack(requestIds) {
      await local.giveBack(requestIds);
      await ask((buckets) => buckets.giveBack(requestIds));
    },
    async settle(used) {
      await local.settle(used);
      await ask((buckets) => buckets.settle(used));
    },
  };
}
