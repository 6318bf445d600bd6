import type { AnswerCache } from "../ports.ts";
import { openedAnswer, sealedAnswer } from "./kept-answer.ts";

interface Kept {
  readonly bytes: Buffer;
  readonly untilMs: number;
}

/** In this process; of two that cannot both stay, the one goes that was not asked for the longest. @param maxBytes of all answers together */
export function memoryCache(maxBytes: number, nowMs: () => number): AnswerCache & { readonly bytes: number } {
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
      if (one.bytes.length > maxBytes) return;
      kept.set(name, one);
      bytes += one.bytes.length;
      for (const [oldest, entry] of kept) {
        if (bytes <= maxBytes) break;
        drop(oldest, entry);
      }
    },
  };
}
