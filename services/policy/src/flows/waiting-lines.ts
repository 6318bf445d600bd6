/**
 * Where requests wait for what a limit with a queue does not let through yet: one line per bucket, in this process alone. Replicas share the
 * bucket, not the line: each takes for those that wait at it, in their fair order, and between replicas nothing is promised.
 * Whoever is not served in its time, or pushed out of a full line, is refused as the limit would have at once. Whoever goes away loses its
 * place at once.
 */
import { FairQueue, type Waiter } from "../domain/fair-queue.ts";
import type { QueueOnPath } from "../domain/key-policy.ts";
import { obstacleOf, onlyQueuesObstruct } from "../domain/limits.ts";
import type { RateTake, Take } from "../domain/takes.ts";
import type { BucketRequest } from "../ports.ts";
import type { Limiter, LimiterVerdict } from "./limiter.ts";

/** The bucket is looked at at least so often: others give back what they did not use, and other replicas take from it. */
const LOOK_AGAIN_MS = 100;

export interface Place extends BucketRequest {
  readonly workspaceId: string;
  /** Undefined: as long as the limit lets it. */
  readonly maxWaitMs: number | undefined;
  readonly priority: number;
}

/** How waiting ended without a verdict of the buckets. */
export type Unserved = "late" | "full" | "gone" | "closing";

interface Waiting extends Waiter {
  readonly place: Place;
  readonly end: (how: LimiterVerdict | Unserved) => void;
}

interface Line {
  readonly bucket: string;
  readonly queue: FairQueue<Waiting>;
  timer: NodeJS.Timeout | undefined;
  serving: boolean;
}

/** What a request would wait for; undefined: it has no limit with a queue. */
export const queueTakeOf = (takes: readonly Take[]): (RateTake & { readonly queue: QueueOnPath }) | undefined => {
  for (const take of takes)
    if (take.kind === "rate" && take.limit.queue !== undefined) return { ...take, queue: take.limit.queue };
  return undefined;
};

export class WaitingLines implements Disposable {
  readonly #limiter: Limiter;
  readonly #lines = new Map<string, Line>();
  readonly #waiting = new Set<Waiting>();
  readonly #onDefect: (error: unknown) => void;
  #closed = false;

  constructor(limiter: Limiter, onDefect: (error: unknown) => void) {
    this.#limiter = limiter;
    this.#onDefect = onDefect;
  }

  /** Whether others wait for what these take: then nobody goes ahead of them. */
  isBusy(takes: readonly Take[]): boolean {
    if (this.#lines.size === 0) return false;
    return takes.some(({ limit, bucket }) => limit.queue !== undefined && this.#lines.has(bucket));
  }

  /** Resolves when all of the request was taken, or will not be. */
  wait(place: Place, signal: AbortSignal): Promise<LimiterVerdict | Unserved> {
    const wanted = queueTakeOf(place.takes);
    if (wanted === undefined) throw new TypeError("nobody waits for a limit without a queue");
    if (signal.aborted) return Promise.resolve("gone");
    if (this.#closed) return Promise.resolve("closing");
    const { queue, bucket, cost } = wanted;
    const line = this.#lineOf(bucket, queue.maxLength);
    return new Promise((resolve) => {
      const waiting: Waiting = {
        id: place.id,
        flow: place.workspaceId,
        weight: queue.weight,
        cost: Math.max(1, cost),
        priority: place.priority,
        place,
        end: (how) => {
          if (!this.#waiting.delete(waiting)) return;
          clearTimeout(late);
          signal.removeEventListener("abort", leave);
          line.queue.remove(waiting.id);
          resolve(how);
        },
      };
      const leave = (): void => waiting.end("gone");
      const late = setTimeout(() => waiting.end("late"), Math.min(queue.maxWaitMs, place.maxWaitMs ?? Infinity));
      signal.addEventListener("abort", leave);
      this.#waiting.add(waiting);
      line.queue.add(waiting)?.end("full");
      // Between two looks only who stands first now may fit.
      if (line.timer === undefined || line.queue.head() === waiting) void this.#serve(line);
    });
  }

  #lineOf(bucket: string, maxLength: number): Line {
    let line = this.#lines.get(bucket);
    if (line === undefined) {
      line = { bucket, queue: new FairQueue(maxLength), timer: undefined, serving: false };
      this.#lines.set(bucket, line);
    }
    return line;
  }

  /** Takes for one after the other, until one does not fit. */
  async #serve(line: Line): Promise<void> {
    if (line.serving) return;
    line.serving = true;
    clearTimeout(line.timer);
    line.timer = undefined;
    let lookInMs: number | undefined;
    for (let head = line.queue.head(); head !== undefined && lookInMs === undefined; head = line.queue.head())
      lookInMs = await this.#serveOne(line, head);
    line.serving = false;
    if (lookInMs !== undefined && !this.#closed) line.timer = setTimeout(() => void this.#serve(line), lookInMs);
    else this.#lines.delete(line.bucket);
  }

  /** @returns after how long to look again; undefined: at once, for the next */
  async #serveOne(line: Line, head: Waiting): Promise<number | undefined> {
    const { place } = head;
    let verdict: LimiterVerdict;
    try {
      const [only] = await this.#limiter.take([place]);
      verdict = only ?? "unavailable";
    } catch (error) {
      this.#onDefect(error);
      verdict = "unavailable";
    }
    if (verdict === "unavailable") {
      head.end(verdict);
      return undefined;
    }
    if (verdict.refused === undefined) {
      if (this.#waiting.has(head)) {
        line.queue.serve(head.id);
        head.end(verdict);
      } else await this.#limiter.giveBack([place.id]);
      return undefined;
    }
    // Its own other limits refuse it, as they would have at once.
    if (!onlyQueuesObstruct(place.takes, verdict)) {
      head.end(verdict);
      return undefined;
    }
    return Math.min(LOOK_AGAIN_MS, obstacleOf(place.takes, verdict).waitMs);
  }

  /** Nobody waits at a replica that stops. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const waiting of this.#waiting) waiting.end("closing");
    for (const { timer } of this.#lines.values()) clearTimeout(timer);
    this.#lines.clear();
  }
}
