/**
 * What replicas of the router tell each other of targets, over NATS. Failure policy: open. While NATS is away each replica finds out for
 * itself, as if it were the only one; nothing on a request's way waits for NATS but a probe, and that not for long.
 */
import { jetStreamKeys, type SharedKeys } from "@weir/events";
import { type Clock, isReason } from "@weir/kernel";
import { heard, type HealthNews, newsOf } from "../domain/health.ts";
import type { Target } from "../domain/target.ts";
import type { SharedHealth } from "../ports.ts";

/** Longer than any breaker is open. */
const NEWS_TTL_MS = 120_000;
/** A replica that died in its probe holds the others up for no longer. */
const PROBE_TTL_MS = 30_000;
const ASK_MS = 250;

/** The stores that all replicas see. */
export interface HealthKeys extends AsyncDisposable {
  readonly news: SharedKeys;
  readonly probes: SharedKeys;
}

export function natsHealthKeys(url: string): HealthKeys {
  const news = jetStreamKeys({ url, bucket: "weir-target-health", ttlMs: NEWS_TTL_MS });
  const probes = jetStreamKeys({ url, bucket: "weir-target-probes", ttlMs: PROBE_TTL_MS });
  return {
    news,
    probes,
    async [Symbol.asyncDispose]() {
      await Promise.all([news[Symbol.asyncDispose](), probes[Symbol.asyncDispose]()]);
    },
  };
}

/** Of letters that every store takes. One for all names that lead to the same model with the same account. */
const keyOf = ({ provider, model, account }: Target): string =>
  Buffer.from(`${provider}/${model}#${account}`).toString("base64url");

/**
 * @param replica tells this one's own words apart
 * @param targets those in force
 */
export function sharedHealth(
  keys: HealthKeys,
  replica: string,
  targets: () => Iterable<Target>,
  clock: Clock,
  onError: (error: unknown) => void,
): SharedHealth {
  const mine = Buffer.from(replica);
  keys.news.watch((name, value) => {
    const news = parsedNews(value);
    if (news === undefined || news.by === replica) return;
    for (const target of targets()) {
      if (keyOf(target) === name) target.state.health = heard(target.state.health, news, clock.nowMs());
    }
  });
  return {
    tell(target) {
      const news = { by: replica, ...newsOf(target.state.health, clock.nowMs()) };
      keys.news.put(keyOf(target), Buffer.from(JSON.stringify(news))).catch(onError);
    },
    async mayProbe(target) {
      const late = new Promise<true>((resolve) => setTimeout(() => resolve(true), ASK_MS).unref());
      try {
        return await Promise.race([keys.probes.create(keyOf(target), mine), late]);
      } catch (error) {
        onError(error);
        return true;
      }
    },
    probed(target) {
      keys.probes.remove(keyOf(target)).catch(onError);
    },
  };
}

/** @returns undefined for what no replica of this version said */
export function parsedNews(value: Uint8Array): (HealthNews & { readonly by: string }) | undefined {
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(value).toString());
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null) return undefined;
  const { by, openMs, opens, coolingMs, reason } = said as Readonly<Record<string, unknown>>;
  const isTime = (time: unknown): time is number => typeof time === "number" && time >= 0 && time <= NEWS_TTL_MS;
  if (typeof by !== "string" || !isTime(openMs) || !isTime(coolingMs) || !Number.isSafeInteger(opens)) return undefined;
  return {
    by,
    openMs,
    opens: Math.min(16, Math.max(0, Number(opens))),
    coolingMs,
    reason: typeof reason === "string" && isReason(reason) ? reason : undefined,
  };
}
