import { join } from "node:path";
import { expect, it } from "vitest";
import { deadLettersContract } from "../test/dead-letters.contract.ts";
import { scratch } from "../test/support.ts";
import { deadLetter, sqliteDeadLetters } from "./index.ts";

deadLettersContract("a file", async () => sqliteDeadLetters(join(scratch(), "dead-letters.db")));

const batch = (number: number) => ({ producer: "p", first: number, last: number, data: Buffer.from([number]) });

it("is the same for all who have it open, and there again after a start", async () => {
  const path = join(scratch(), "dead-letters.db");
  {
    await using one = sqliteDeadLetters(path);
    await using two = sqliteDeadLetters(path);
    await one.put([deadLetter("evaluation", batch(1), "why", 1)]);
    await two.put([deadLetter("evaluation", batch(1), "why", 2), deadLetter("evaluation", batch(2), "why", 2)]);
    expect((await one.list(0, 10)).letters.map(({ first, atMs }) => [first, atMs])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  }
  await using again = sqliteDeadLetters(path);
  expect((await again.list(0, 10)).letters).toHaveLength(2);
});

it("forgets what is older than 30 days", async () => {
  await using store = sqliteDeadLetters(join(scratch(), "dead-letters.db"));
  await store.put([deadLetter("evaluation", batch(1), "why", 0)]);
  await store.put([deadLetter("evaluation", batch(2), "why", 31 * 86_400_000)]);
  expect((await store.list(0, 10)).letters.map(({ first }) => first)).toEqual([2]);
});
