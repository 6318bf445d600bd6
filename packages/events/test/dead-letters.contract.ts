import { describe, expect, it } from "vitest";
import { type DeadLetter, deadLetter, type DeadLetters, decodeFrames, encodeFrames, FRAME_KIND } from "../src/index.ts";

const letter = (number: number, consumer = "evaluation"): DeadLetter =>
  deadLetter(
    consumer,
    {
      producer: "a.0.0123456789abcdef",
      first: number,
      last: number,
      data: encodeFrames([
        {
          kind: FRAME_KIND.outcome,
          number,
          header: Buffer.from(`an outcome ${number}`),
          payload: Buffer.from("CANARY, what was said"),
        },
      ]),
    },
    "it cannot be read",
    Date.now() + number,
  );

const copyOf = (kept: DeadLetter | undefined) => kept && { ...kept, data: Buffer.from(kept.data).toString("hex") };

/** What every store of dead letters promises. `make` gives an empty one. */
export function deadLettersContract(name: string, make: () => Promise<DeadLetters>): void {
  describe(`${name}, as a store of dead letters`, () => {
    it("keeps letters as they are, oldest first, page by page, and none twice", async () => {
      await using store = await make();
      const letters = Array.from({ length: 25 }, (_, at) => letter(at + 1, at % 5 === 0 ? "another" : "evaluation"));
      await store.put(letters.slice(0, 20));
      await store.put(letters.slice(20));
      await store.put([{ ...(letters[24] as DeadLetter) }]);
      const seen: DeadLetter[] = [];
      const sizes: number[] = [];
      for (let after: number | undefined = 0; after !== undefined; ) {
        const page: Awaited<ReturnType<DeadLetters["list"]>> = await store.list(after, 10);
        seen.push(...page.letters);
        sizes.push(page.letters.length);
        after = page.next;
      }
      expect(sizes).toEqual([10, 10, 5]);
      expect(seen.map(copyOf)).toEqual(letters.map(copyOf));
      expect(copyOf(await store.get(letters[3]?.id ?? ""))).toEqual(copyOf(letters[3]));
    });

    it("leaves a letter that comes again where and as it is, so that it can be dropped meanwhile", async () => {
      await using store = await make();
      await store.put([letter(1), letter(2)]);
      await store.put([{ ...letter(1), atMs: Date.now() + 60_000, reason: "another one" }]);
      const { letters } = await store.list(0, 10);
      expect(letters.map(({ first, reason }) => [first, reason])).toEqual([
        [1, "it cannot be read"],
        [2, "it cannot be read"],
      ]);
      for (let round = 0; round < 20; round += 1) {
        const [dropped] = await Promise.all([store.drop(letter(1).id), store.put([letter(1)])]);
        expect(dropped).toBe(true);
        await store.put([letter(1)]);
      }
    });

    it("forgets what is dropped, once, and takes it again", async () => {
      await using store = await make();
      await store.put([letter(1), letter(2)]);
      const { id } = letter(1);
      expect(await Promise.all([store.drop(id), store.drop(id)]).then((both) => both.filter(Boolean))).toHaveLength(1);
      expect(await store.get(id)).toBeUndefined();
      expect((await store.list(0, 10)).letters.map(({ first }) => first)).toEqual([2]);
      await store.put([letter(1)]);
      expect((await store.list(0, 10)).letters.map(({ first }) => first)).toEqual([2, 1]);
    });

    it("knows nothing of ids that are none", async () => {
      await using store = await make();
      await store.put([]);
      for (const id of ["", "*", ">", "a.b", "0".repeat(32), "' or true --"]) {
        expect(await store.get(id)).toBeUndefined();
        expect(await store.drop(id)).toBe(false);
      }
      expect(await store.list(0, 10)).toEqual({ letters: [], next: undefined });
    });

    it("has nothing of what was said", async () => {
      await using store = await make();
      await store.put([letter(7)]);
      const [kept] = (await store.list(0, 1)).letters;
      expect(Buffer.from(kept?.data ?? []).toString("latin1")).not.toContain("CANARY");
      const [frame] = decodeFrames(kept?.data ?? new Uint8Array()).frames;
      expect(frame).toMatchObject({ number: 7, kind: FRAME_KIND.outcome, payloadOmitted: true });
      expect(Buffer.from(frame?.header ?? []).toString()).toBe("an outcome 7");
    });
  });
}
