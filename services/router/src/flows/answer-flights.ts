/**
 * Equal requests share an answer: one calls a provider, those that come meanwhile wait for what it gets, those that come later get what was
 * kept. If the one fails, the next of those who wait goes: a failure is nobody's answer but its own.
 */
import { WeirError } from "@weir/kernel";
import type { CacheControl } from "../domain/cache-control.ts";
import type { AnswerCache, CacheKey, KeptAnswer } from "../ports.ts";

export type Entry =
  | { readonly kind: "hit"; readonly answer: KeptAnswer }
  /** Call a provider, then tell what came of it; undefined: nothing that others may have. MUST be told once. */
  | { readonly kind: "lead"; readonly landed: (answer: KeptAnswer | undefined) => void };

export class AnswerFlights {
  readonly #cache: AnswerCache;
  readonly #nowMs: () => number;
  readonly #flights = new Map<string, Promise<KeptAnswer | undefined>>();

  constructor(cache: AnswerCache, nowMs: () => number) {
    this.#cache = cache;
    this.#nowMs = nowMs;
  }

  /** @throws WeirError client_closed for who leaves while it waits */
  async enter(key: CacheKey, ttlMs: number, control: CacheControl, signal: AbortSignal): Promise<Entry> {
    while (control.read) {
      const kept = await this.#cache.get(key);
      if (kept !== undefined && this.#nowMs() - kept.atMs <= Math.min(ttlMs, control.maxAgeMs)) {
        return { kind: "hit", answer: kept };
      }
      const flight = this.#flights.get(key.name);
      // Who may not keep its answer flies alone: nobody can wait for it.
      if (flight === undefined) break;
      const answer = await landing(flight, signal);
      if (answer !== undefined) return { kind: "hit", answer };
    }
    if (!control.write) return { kind: "lead", landed: () => undefined };
    const { promise, resolve } = Promise.withResolvers<KeptAnswer | undefined>();
    this.#flights.set(key.name, promise);
    const landed = (answer: KeptAnswer | undefined): void => {
      if (this.#flights.get(key.name) === promise) this.#flights.delete(key.name);
      resolve(answer);
      if (answer !== undefined) this.#cache.put(key, answer, ttlMs);
    };
    return { kind: "lead", landed };
  }
}

function landing(flight: Promise<KeptAnswer | undefined>, signal: AbortSignal): Promise<KeptAnswer | undefined> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(new WeirError("client_closed", "The client went away."));
    if (signal.aborted) return gone();
    signal.addEventListener("abort", gone, { once: true });
    void flight.then((answer) => {
      signal.removeEventListener("abort", gone);
      resolve(answer);
    });
  });
}
