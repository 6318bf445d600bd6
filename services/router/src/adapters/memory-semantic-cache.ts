import { cosine, ROUNDING } from "../domain/unit-vector.ts";
import type { QuestionSpace, SemanticCache } from "../ports.ts";
import { openedAnswer, sealedAnswer } from "./kept-answer.ts";
import { veiled } from "./question-space.ts";

interface Entry {
  readonly scope: string;
  readonly space: string;
  readonly vector: Float32Array;
  readonly sealed: Buffer;
  readonly madeMs: number;
  readonly untilMs: number;
}

/**
 * In this process, for a router without a database.
 * @param maxBytes of all entries together
 * @param onEvicted told how many had to go before their time
 */
export function memorySemanticCache(
  maxBytes: number,
  nowMs: () => number,
  onEvicted: (entries: number) => void = () => undefined,
): SemanticCache & { readonly bytes: number; readonly count: number; sweep(): void } {
  // A Set keeps the order in which its entries were put: the first is the oldest.
  const entries = new Set<Entry>();
  let bytes = 0;
  const sizeOf = ({ vector, sealed }: Entry): number => vector.byteLength + sealed.length;
  const drop = (entry: Entry): void => {
    entries.delete(entry);
    bytes -= sizeOf(entry);
  };
  const name = (of: Uint8Array): string => Buffer.from(of).toString("base64url");
  return {
    get bytes() {
      return bytes;
    },
    get count() {
      return entries.size;
    },
    nearest({ name: spaceName, secret }: QuestionSpace, vector, { atLeast, madeFromMs }) {
      const space = name(spaceName);
      const asked = veiled(vector, secret);
      let best: Entry | undefined;
      let similarity = -1;
      for (const entry of entries) {
        if (entry.vector.length !== asked.length) continue;
        if (entry.space !== space || entry.untilMs <= nowMs() || entry.madeMs < madeFromMs) continue;
        const near = cosine(asked, entry.vector);
        if (best !== undefined && near < similarity) continue;
        [best, similarity] = [entry, near];
      }
      if (best === undefined) return Promise.resolve(undefined);
      return Promise.resolve({
        similarity,
        answer: similarity < atLeast - ROUNDING ? undefined : openedAnswer(best.sealed, secret),
      });
    },
    put({ scope: scopeName, name: spaceName, secret }, vector, answer, { ttlMs, mostEntries }) {
      const scope = name(scopeName);
      const entry: Entry = {
        scope,
        space: name(spaceName),
        vector: veiled(vector, secret),
        sealed: sealedAnswer(answer, secret),
        madeMs: answer.atMs,
        untilMs: nowMs() + ttlMs,
      };
      entries.add(entry);
      bytes += sizeOf(entry);
      const own = [...entries].filter((one) => one.scope === scope);
      const excess = own.slice(0, Math.max(0, own.length - mostEntries));
      let evicted = excess.length;
      for (const one of excess) drop(one);
      for (const oldest of entries) {
        if (bytes <= maxBytes) break;
        drop(oldest);
        evicted++;
      }
      if (evicted > 0) onEvicted(evicted);
    },
    sweep() {
      for (const one of entries) if (one.untilMs <= nowMs()) drop(one);
    },
  };
}
