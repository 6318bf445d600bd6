/** What every SemanticCache must do. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cosine, unitVector } from "../src/domain/unit-vector.ts";
import type { KeptAnswer, Nearest, QuestionSpace, SemanticCache } from "../src/ports.ts";

export interface Subject {
  readonly cache: SemanticCache;
  /** Another replica's; undefined: it is not shared. */
  readonly other: SemanticCache | undefined;
  /** On the clock that it goes by. */
  readonly setNow: (ms: number) => void;
  /** How many entries there are of all scopes. */
  readonly count: () => Promise<number>;
  /** What is over is gone after it. */
  readonly sweep: () => Promise<void>;
  /** All that it stores, as text. */
  readonly dump: () => Promise<string>;
}

const NOW = 1_700_000_000_000;
let spaces = 0;
const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();
/** One that nothing is in. */
function newSpace(scope = `scope ${++spaces}`): QuestionSpace {
  const name = `space ${++spaces}`;
  return { scope: digest(scope), name: digest(name), secret: digest(`secret of ${name}`) };
}
const vector = (...values: number[]): Float32Array => unitVector(values) as Float32Array;
const answer = (text: string, atMs = NOW): KeptAnswer => ({
  atMs,
  served: { provider: "p", model: "m", region: "eu", attempt: 1 },
  usage: undefined,
  finishReason: "stop",
  dropped: ["seed"],
  costNanos: 5n,
  priceVersion: "v",
  status: 200,
  contentType: "application/json",
  body: Buffer.from(text),
  terminal: Buffer.from("end"),
  outputBytes: 7,
});
const KEPT = { ttlMs: 60_000, mostEntries: 100 };
const ANY = { atLeast: -1, madeFromMs: 0 };
const textOf = (nearest: Nearest | undefined): string | undefined =>
  nearest?.answer && Buffer.from(nearest.answer.body).toString();

/** @param subject with nothing in it that these tests look for */
export function semanticCacheContract(name: string, subject: () => Subject): void {
  describe(name, () => {
    /** Puts are not waited for by who makes them. */
    async function put(space: QuestionSpace, at: Float32Array, kept: KeptAnswer, how = KEPT): Promise<void> {
      const { cache, count } = subject();
      const before = await count();
      cache.put(space, at, kept, how);
      await expect.poll(count).toBe(before + 1);
    }
    const nearest = (space: QuestionSpace, at: Float32Array, wanted = ANY, cache = subject().cache) =>
      cache.nearest(space, at, wanted);

    test("an answer comes back whole, with how near its question was", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      expect(await nearest(space, vector(1, 0))).toBeUndefined();
      await put(space, vector(1, 0), answer("x"));
      const found = await nearest(space, vector(1, 1));
      expect(found?.similarity).toBeCloseTo(Math.SQRT1_2, 5);
      expect(found?.answer).toEqual(answer("x"));
      expect((await nearest(space, vector(-1, 0)))?.similarity).toBeCloseTo(-1, 5);
    });

    test("of several the nearest, of equally near ones the latest", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      await put(space, vector(1, 0, 0), answer("east"));
      await put(space, vector(0, 1, 0), answer("north"));
      await put(space, vector(0, 1, 0), answer("north again"));
      expect(textOf(await nearest(space, vector(2, 1, 0)))).toBe("east");
      expect(textOf(await nearest(space, vector(1, 2, 1)))).toBe("north again");
    });

    test("agrees with comparing all of them", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      const vectors = fc
        .sample(fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 16, maxLength: 16 }), {
          numRuns: 40,
          seed: 4,
        })
        .flatMap((values) => unitVector(values) ?? []);
      const [asked, ...others] = vectors as [Float32Array, ...Float32Array[]];
      const { cache, count } = subject();
      const before = await count();
      for (const [index, one] of others.entries()) cache.put(space, one, answer(String(index)), KEPT);
      await expect.poll(count, { timeout: 10_000 }).toBe(before + others.length);
      const best = Math.max(...others.map((one) => cosine(asked, one)));
      expect((await nearest(space, asked))?.similarity).toBeCloseTo(best, 5);
    });

    test("what is not near enough is told, and not given", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      await put(space, vector(1, 0), answer("x"));
      const found = await nearest(space, vector(1, 1), { ...ANY, atLeast: 0.9 });
      expect(found).toEqual({ similarity: expect.closeTo(Math.SQRT1_2, 5) as unknown, answer: undefined });
      expect(textOf(await nearest(space, vector(1, 0), { ...ANY, atLeast: 1 }))).toBe("x");
    });

    test("no other space's, though it has the same scope; none of another length", async () => {
      subject().setNow(NOW);
      const space = newSpace("one scope");
      await put(space, vector(1, 0), answer("x"));
      expect(await nearest(newSpace("one scope"), vector(1, 0))).toBeUndefined();
      expect(await nearest(space, vector(1, 0, 0))).toBeUndefined();
    });

    test("who has the name and not the secret reads nothing", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      await put(space, vector(1, 0), answer("x"));
      const forged = { ...space, secret: digest("guessed") };
      expect((await nearest(forged, vector(1, 0)))?.answer).toBeUndefined();
      expect(textOf(await nearest(space, vector(1, 0)))).toBe("x");
    });

    test("not after its time, and none that is older than wanted", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      await put(space, vector(1, 0), answer("old", NOW - 10_000));
      await put(space, vector(1, 1), answer("new", NOW));
      expect(textOf(await nearest(space, vector(1, 0), { ...ANY, madeFromMs: NOW - 5_000 }))).toBe("new");
      subject().setNow(NOW + 59_999);
      expect(textOf(await nearest(space, vector(1, 0)))).toBe("old");
      subject().setNow(NOW + 60_000);
      expect(await nearest(space, vector(1, 0))).toBeUndefined();
      await subject().sweep();
      expect(await subject().count()).toBe(0);
    });

    test("of a scope no more than its number, the latest", async () => {
      subject().setNow(NOW);
      const few = { ...KEPT, mostEntries: 2 };
      const [space, second] = [newSpace("small scope"), newSpace("small scope")];
      const apart = newSpace();
      await put(apart, vector(1, 0), answer("apart"));
      await put(space, vector(1, 0), answer("first"), few);
      await put(second, vector(1, 0), answer("second"), few);
      // The space is known by now to who has read it before.
      expect(textOf(await nearest(space, vector(1, 0)))).toBe("first");
      subject().cache.put(second, vector(0, 1), answer("third"), few);
      await expect.poll(async () => textOf(await nearest(second, vector(0, 1)))).toBe("third");
      expect(await nearest(space, vector(1, 0))).toBeUndefined();
      expect(textOf(await nearest(second, vector(1, 0)))).toBe("second");
      expect(textOf(await nearest(apart, vector(1, 0)))).toBe("apart");
    });

    test("replicas have it together", async () => {
      const { other } = subject();
      if (other === undefined) return;
      subject().setNow(NOW);
      const space = newSpace();
      expect(await nearest(space, vector(1, 0), ANY, other)).toBeUndefined();
      await put(space, vector(1, 0), answer("x"));
      expect(textOf(await nearest(space, vector(1, 0), ANY, other))).toBe("x");
    });

    test("nothing of an answer, and no vector, lies there to be read", async () => {
      subject().setNow(NOW);
      const space = newSpace();
      const secret = "a canary that sings";
      const plain = vector(0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625);
      await put(space, plain, answer(secret));
      const dump = await subject().dump();
      expect(dump).not.toContain(secret);
      expect(dump).not.toContain(Buffer.from(secret).toString("hex"));
      expect(dump).not.toContain(Buffer.from(plain.buffer).toString("hex"));
      expect(dump).not.toContain([...plain].join(","));
    });
  });
}
