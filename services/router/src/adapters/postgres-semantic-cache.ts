import { cosine, ROUNDING } from "../domain/unit-vector.ts";
import type { Nearest, QuestionSpace, SemanticCache } from "../ports.ts";
import { openedAnswer } from "./kept-answer.ts";
import { veiled } from "./question-space.ts";
import { Patience, putAnswer, type Rows } from "./semantic-rows.ts";

/** Vectors that this process has read, of all spaces together. */
const MIRROR_BYTES = 64 * 1024 * 1024;
const PAGE = 500;
/** Found near, and gone when its answer was fetched. */
const MOST_GONE = 3;

interface Listed {
  readonly id: number;
  readonly vector: Float32Array;
  readonly madeMs: number;
  readonly untilMs: number;
}

interface Row {
  readonly id: string | number;
  readonly vector: Uint8Array;
  readonly made_ms: string | number;
  readonly until_ms: string | number;
}

/**
 * In Postgres, without any extension: vectors are compared here. They never change, so each process reads every one of them once, and asks only for
 * those that are new; the answers stay where they are. A row whose transaction took longer than that of a later row may be passed over by a
 * process: it costs a hit.
 */
export function postgresSemanticCache(
  rows: Rows,
  nowMs: () => number,
  onError: (error: unknown) => void,
  onEvicted: (entries: number) => void = () => undefined,
): SemanticCache {
  const patience = new Patience(nowMs, onError);
  const mirrors = new Mirrors();

  async function nearest(space: QuestionSpace, asked: Float32Array, atLeast: number, fromMs: number) {
    const mirror = mirrors.of(space.name);
    await refresh(rows, space.name, mirror, nowMs());
    mirrors.trim();
    for (let gone = 0; gone < MOST_GONE; gone++) {
      const best = mirror.nearest(asked, fromMs, nowMs());
      if (best === undefined) return undefined;
      const { similarity, listed } = best;
      if (similarity < atLeast - ROUNDING) return { similarity, answer: undefined };
      const [row] = await rows<{ readonly sealed: Uint8Array }>("select sealed from semantic_answer where id = $1", [
        listed.id,
      ]);
      if (row !== undefined) return { similarity, answer: openedAnswer(row.sealed, space.secret) };
      mirror.forget(listed);
    }
    return undefined;
  }

  return {
    nearest: (space, vector, { atLeast, madeFromMs }): Promise<Nearest | undefined> =>
      patience.try(() => nearest(space, veiled(vector, space.secret), atLeast, madeFromMs)),
    put(space, vector, answer, { ttlMs, mostEntries }) {
      const kept = { untilMs: nowMs() + ttlMs, mostEntries };
      void patience.try(async () => {
        const evicted = await putAnswer(rows, "vector", space, bytesOf(veiled(vector, space.secret)), answer, kept);
        if (evicted > 0) onEvicted(evicted);
      });
    },
  };
}

async function refresh(rows: Rows, space: Uint8Array, mirror: Mirror, nowMs: number): Promise<void> {
  for (;;) {
    const after = mirror.lastId;
    const found = await rows<Row>(
      `select id, vector, made_ms, until_ms from semantic_answer
       where space = $1 and id > $2 and vector is not null and until_ms > $3 order by id limit ${PAGE}`,
      [space, after, Math.round(nowMs)],
    );
    for (const row of found)
      mirror.add({
        id: Number(row.id),
        vector: floatsOf(row.vector),
        madeMs: Number(row.made_ms),
        untilMs: Number(row.until_ms),
      });
    if (found.length < PAGE) return;
  }
}

class Mirror {
  lastId = 0;
  bytes = 0;
  #listed: Listed[] = [];

  /** Of two that read the same rows at once, the second adds nothing. */
  add(listed: Listed): void {
    if (listed.id <= this.lastId) return;
    this.lastId = listed.id;
    this.#listed.push(listed);
    this.bytes += listed.vector.byteLength;
  }

  forget(listed: Listed): void {
    this.#keep((one) => one !== listed);
  }

  nearest(asked: Float32Array, fromMs: number, nowMs: number): { similarity: number; listed: Listed } | undefined {
    let best: Listed | undefined;
    let similarity = -1;
    let over = false;
    for (const listed of this.#listed) {
      if (listed.untilMs <= nowMs) over = true;
      else if (listed.madeMs >= fromMs && listed.vector.length === asked.length) {
        const near = cosine(asked, listed.vector);
        if (best === undefined || near >= similarity) [best, similarity] = [listed, near];
      }
    }
    if (over) this.#keep(({ untilMs }) => untilMs > nowMs);
    return best && { similarity, listed: best };
  }

  #keep(wanted: (listed: Listed) => boolean): void {
    this.#listed = this.#listed.filter(wanted);
    this.bytes = this.#listed.reduce((sum, { vector }) => sum + vector.byteLength, 0);
  }
}

/** Those that were not asked for the longest are forgotten first, and read again. */
class Mirrors {
  readonly #bySpace = new Map<string, Mirror>();

  of(space: Uint8Array): Mirror {
    const name = Buffer.from(space).toString("base64url");
    const mirror = this.#bySpace.get(name) ?? new Mirror();
    this.#bySpace.delete(name);
    this.#bySpace.set(name, mirror);
    return mirror;
  }

  trim(): void {
    let bytes = 0;
    for (const mirror of this.#bySpace.values()) bytes += OVERHEAD_BYTES + mirror.bytes;
    for (const [name, mirror] of this.#bySpace) {
      if (bytes <= MIRROR_BYTES) break;
      this.#bySpace.delete(name);
      bytes -= OVERHEAD_BYTES + mirror.bytes;
    }
  }
}
/** Of a space that has nothing in it: strangers' questions must not fill the memory with empty ones. */
const OVERHEAD_BYTES = 512;

const bytesOf = (vector: Float32Array): Buffer => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);

/** Copied: where a driver's bytes begin, floats may not. */
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);
