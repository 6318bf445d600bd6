/**
 * Rate limits with their failure policy. While Redis is away, nobody waits for it: a request under a limit that fails closed is refused at
 * once, the other limits go on in this process alone, each at its share: the limit divided by how many replicas there were when Redis was
 * last heard from (one, if it never was). Whether it is back is found out beside the requests. A Redis that is there and refuses the
 * scripts is no outage but set up wrongly: all limits refuse, since going on alone unnoticed would be no limit at all.
 */
import type { BucketVerdict } from "../domain/limits.ts";
import { shareOfTake, type Take } from "../domain/takes.ts";
import { type BucketRequest, type Buckets, type Replicas, ScriptsRefusedError, type Use } from "../ports.ts";

export type LimiterVerdict = BucketVerdict | "unavailable";

export interface Limiter {
  take(requests: readonly BucketRequest[]): Promise<LimiterVerdict[]>;
  /** What the buckets are like that would be asked now. */
  peek(takes: readonly Take[]): Promise<LimiterVerdict>;
  giveBack(ids: readonly string[]): Promise<void>;
  settle(uses: readonly Use[]): Promise<void>;
  renew(ids: readonly string[]): Promise<void>;
}

export interface RunningLimiter extends Limiter, AsyncDisposable {
  /** Begins to count replicas and to look after Redis; resolves after the first look. */
  start(): Promise<void>;
}

export interface LimiterEvents {
  onAway(error: unknown): void;
  onBack(): void;
  /** Limits refuse until this is set right. */
  onScriptsRefused(error: unknown): void;
}

/** What all replicas share. */
export interface SharedLimits {
  readonly buckets: Buckets;
  readonly replicas: Replicas;
}

const BEAT_MS = 1_000;
/** How soon an outage's end is found. */
const PROBE_MS = 250;

/** @param shared undefined: there is one replica, whose own buckets are the truth */
export function createLimiter(shared: SharedLimits | undefined, local: Buckets, events: LimiterEvents): RunningLimiter {
  return shared === undefined
    ? { ...local, start: () => Promise.resolve(), async [Symbol.asyncDispose]() {} }
    : new SharedLimiter(shared, local, events);
}

class SharedLimiter implements RunningLimiter {
  readonly #shared: SharedLimits;
  readonly #local: Buckets;
  readonly #events: LimiterEvents;
  #state: "there" | "away" | "refuses" = "there";
  #replicas = 1;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closed = false;

  constructor(shared: SharedLimits, local: Buckets, events: LimiterEvents) {
    this.#shared = shared;
    this.#local = local;
    this.#events = events;
  }

  async start(): Promise<void> {
    await this.#look();
  }

  async take(requests: readonly BucketRequest[]): Promise<LimiterVerdict[]> {
    const verdicts = await this.#ask((buckets) => buckets.take(requests));
    if (verdicts !== undefined) return verdicts;
    if (this.#state === "refuses") return requests.map(() => "unavailable");
    const open = requests.filter(({ takes }) => !takes.some(({ limit }) => limit.failClosed));
    const shares = open.map(({ id, takes }) => ({ id, takes: takes.map((take) => shareOfTake(take, this.#replicas)) }));
    const own = await this.#local.take(shares);
    const verdictOf = new Map(open.map((request, index) => [request, own[index]]));
    return requests.map((request) => verdictOf.get(request) ?? "unavailable");
  }

  async peek(takes: readonly Take[]): Promise<LimiterVerdict> {
    const verdict = await this.#ask((buckets) => buckets.peek(takes));
    if (verdict !== undefined) return verdict;
    if (this.#state === "refuses" || takes.some(({ limit }) => limit.failClosed)) return "unavailable";
    return this.#local.peek(takes.map((take) => shareOfTake(take, this.#replicas)));
  }

  // The others tell both: where a request was taken shows in who remembers it.
  async giveBack(ids: readonly string[]): Promise<void> {
    await this.#local.giveBack(ids);
    await this.#ask((buckets) => buckets.giveBack(ids));
  }

  async settle(uses: readonly Use[]): Promise<void> {
    await this.#local.settle(uses);
    await this.#ask((buckets) => buckets.settle(uses));
  }

  async renew(ids: readonly string[]): Promise<void> {
    await this.#local.renew(ids);
    await this.#ask((buckets) => buckets.renew(ids));
  }

  async #ask<T>(call: (buckets: Buckets) => Promise<T>): Promise<T | undefined> {
    if (this.#state !== "there") return undefined;
    try {
      return await call(this.#shared.buckets);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    const state = error instanceof ScriptsRefusedError ? "refuses" : "away";
    if (state === this.#state || this.#closed) return;
    this.#state = state;
    if (state === "refuses") this.#events.onScriptsRefused(error);
    else this.#events.onAway(error);
    this.#lookIn(PROBE_MS);
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => void this.#look(), ms).unref();
  }

  #look(): Promise<void> {
    // One at a time: of a Redis that hangs each takes its time-out.
    return (this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined;
      this.#lookIn(this.#state === "there" ? BEAT_MS : PROBE_MS);
    }));
  }

  async #lookOnce(): Promise<void> {
    try {
      this.#replicas = Math.max(1, await this.#shared.replicas.beat());
      if (this.#state !== "there") this.#events.onBack();
      this.#state = "there";
    } catch (error) {
      this.#failed(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
    if (this.#state === "there") await this.#shared.replicas.leave();
  }
}
