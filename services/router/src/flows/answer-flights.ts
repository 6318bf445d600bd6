/**
 * Equal requests share an answer: one calls a provider, those that come meanwhile wait for what it gets, those that come later get what was
 * kept. If the one fails, the next of those who wait goes: a failure is nobody's answer but its own. Who saw several fail goes by itself, so
 * that many do not stand in line for what cannot be had. Of several replicas one goes; failure policy open: where the others cannot be asked, where
 * they take too long, and where the one that went is gone, each goes by itself.
 */
import { WeirError } from "@weir/kernel";
import type { CacheControl } from "../domain/cache-control.ts";
import type { AnswerCache, CacheKey, KeptAnswer, ReplicaFlights } from "../ports.ts";

export type Entry =
  | { readonly kind: "hit"; readonly answer: KeptAnswer }
  | {
      readonly kind: "lead";
      /** Why it is no hit. */
      readonly outcome: "miss" | "stale" | "bypass";
      /** Call a provider, then tell what came of it; undefined: nothing that others may have. MUST be told once. */
      readonly landed: (answer: KeptAnswer | undefined) => void;
    };

/** How one uses the cache. */
export interface Wanted {
  readonly key: CacheKey;
  readonly ttlMs: number;
  readonly control: CacheControl;
}

const MOST_FAILURES = 3;
/** For another replica; a stream's answer is there at its end. */
const MOST_WAIT_MS = 30_000;
const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 100;

export class AnswerFlights {
  readonly #cache: AnswerCache;
  readonly #nowMs: () => number;
  readonly #replicas: ReplicaFlights | undefined;
  readonly #flights = new Map<string, Promise<KeptAnswer | undefined>>();

  /** @param replicas undefined: there is one */
  constructor(cache: AnswerCache, nowMs: () => number, replicas?: ReplicaFlights) {
    this.#cache = cache;
    this.#nowMs = nowMs;
    this.#replicas = replicas;
  }

  /** @throws WeirError client_closed for who leaves while it waits */
  async enter(wanted: Wanted, signal: AbortSignal): Promise<Entry> {
    const { key, control } = wanted;
    let stale = false;
    let alone = false;
    for (let failures = 0; control.read; failures++) {
      const kept = await this.#cache.get(key);
      if (this.#isFresh(kept, wanted)) return { kind: "hit", answer: kept };
      stale = kept !== undefined;
      const flight = this.#flights.get(key.name);
      // Who may not keep its answer flies alone: nobody can wait for it.
      alone = flight !== undefined && failures === MOST_FAILURES;
      if (flight === undefined || alone) break;
      const answer = await landing(flight, signal);
      if (this.#isFresh(answer, wanted)) return { kind: "hit", answer };
    }
    const outcome = !control.read ? "bypass" : stale ? "stale" : "miss";
    if (!control.write) return { kind: "lead", outcome, landed: () => undefined };
    const landed = this.#depart(wanted);
    if (this.#replicas === undefined || alone || !control.read) return { kind: "lead", outcome, landed };
    try {
      const boarded = await this.#board(this.#replicas, wanted, signal);
      if (typeof boarded !== "function") {
        landed(boarded, true);
        return { kind: "hit", answer: boarded };
      }
      const over = (answer: KeptAnswer | undefined): void => {
        landed(answer);
        boarded();
      };
      return { kind: "lead", outcome, landed: over };
    } catch (error) {
      landed(undefined);
      throw error;
    }
  }

  #isFresh(kept: KeptAnswer | undefined, { ttlMs, control }: Wanted): kept is KeptAnswer {
    return kept !== undefined && this.#nowMs() - kept.atMs <= Math.min(ttlMs, control.maxAgeMs);
  }

  /** From now on others of this process wait. @returns to be called when it landed; `known`: the cache has it already */
  #depart({ key, ttlMs }: Wanted): (answer: KeptAnswer | undefined, known?: boolean) => void {
    const { promise, resolve } = Promise.withResolvers<KeptAnswer | undefined>();
    this.#flights.set(key.name, promise);
    return (answer, known = false) => {
      if (this.#flights.get(key.name) === promise) this.#flights.delete(key.name);
      resolve(answer);
      // An answer that was made for another question is not new any more.
      const leftMs = answer === undefined ? 0 : ttlMs - (this.#nowMs() - answer.atMs);
      if (answer !== undefined && !known && leftMs > 0) this.#cache.put(key, answer, leftMs);
    };
  }

  /** @returns what another replica got, or what to call when this one's way is over */
  async #board(replicas: ReplicaFlights, wanted: Wanted, signal: AbortSignal): Promise<KeptAnswer | (() => void)> {
    const { key } = wanted;
    const untilMs = this.#nowMs() + MOST_WAIT_MS;
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(2 * waitMs, LAST_LOOK_MS)) {
      const over = await replicas.board(key.name);
      // Another one's may be there since this one looked last.
      const kept = await this.#cache.get(key);
      if (this.#isFresh(kept, wanted)) {
        over?.();
        return kept;
      }
      if (over !== undefined) return over;
      if (this.#nowMs() >= untilMs) return () => undefined;
      await pause(waitMs, signal);
    }
  }
}

const gone = (): WeirError => new WeirError("client_closed", "The client went away.");

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return landing(new Promise<void>((resolve) => void setTimeout(resolve, ms)), signal);
}

/** What a promise that never rejects resolves to, if nobody leaves before. */
function landing<T>(flight: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(gone());
    if (signal.aborted) return leave();
    signal.addEventListener("abort", leave, { once: true });
    void flight.then((answer) => {
      signal.removeEventListener("abort", leave);
      resolve(answer);
    });
  });
}
