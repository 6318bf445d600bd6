import type { AnswerCache } from "../ports.ts";
import { openedAnswer, sealedAnswer } from "./kept-answer.ts";

interface Kept {
  readonly bytes: Buffer;
  readonly untilMs: number;
}

/**
 * In this process; of two that cannot both stay, the one goes that was not asked for the longest.
 * @param maxBytes of all answers together
 * @param onEvicted told how many had to go before their time
 */
export function memoryCache(
  maxBytes: number,
  nowMs: () => number,
  onEvicted: (entries: number) => void = () => undefined,
): AnswerCache & { readonly bytes: number; sweep(): void } {
  // A Map keeps the order in which its entries were put: the first is the oldest.
  const kept = new Map<string, Kept>();
  let bytes = 0;
  const drop = (name: string, one: Kept): void => {
    kept.delete(name);
    bytes -= one.bytes.length;
  };
  return {
    get bytes() {
      return bytes;
    },
    get({ name, secret }) {
      const found = kept.get(name);
      if (found === undefined) return Promise.resolve(undefined);
      if (found.untilMs <= nowMs()) {
        drop(name, found);
        return Promise.resolve(undefined);
      }
      kept.delete(name);
      kept.set(name, found);
      return Promise.resolve(openedAnswer(found.bytes, secret));
    },
    put({ name, secret }, answer, ttlMs) {
      const before = kept.get(name);
      if (before !== undefined) drop(name, before);
      const one = { bytes: sealedAnswer(answer, secret), untilMs: nowMs() + ttlMs };
      if (one.bytes.length > maxBytes) return onEvicted(1);
      kept.set(name, one);
      bytes += one.bytes.length;
      let evicted = 0;
      for (const [oldest, entry] of kept) {
        if (bytes <= maxBytes) break;
        drop(oldest, entry);
        evicted++;
      }
      if (evicted > 0) onEvicted(evicted);
    },
    /** What nobody asks for any more ends at its time, too. */
    sweep() {
      for (const [name, one] of kept) if (one.untilMs <= nowMs()) drop(name, one);
    },
  };
}
