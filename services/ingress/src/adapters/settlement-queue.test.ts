import { setTimeout as sleep } from "node:timers/promises";
import { toConnectError } from "@weir/mesh";
import { WeirError } from "@weir/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Settlement } from "../domain/settlement.ts";
import { SettlementQueue } from "./settlement-queue.ts";

const one = (requestId: string, attempt = 1): Settlement => ({
  requestId,
  attempt,
  keyId: "k",
  charge: { kind: "at-bound" },
});

/** A policy that takes a batch wholly or not at all, and rejects those with a request it was told to. */
function policyOf(rejects: Readonly<Record<string, "invalid_request" | "internal">>) {
  const taken: string[] = [];
  const dropped: string[] = [];
  const errors: unknown[] = [];
  let calls = 0;
  const state = { away: false };
  const queue = new SettlementQueue(
    async (settlements) => {
      calls += 1;
      await Promise.resolve();
      if (state.away) throw toConnectError(new WeirError("policy_unavailable", "away"));
      for (const { requestId } of settlements) {
        const reason = rejects[requestId];
        if (reason !== undefined) throw toConnectError(new WeirError(reason, "no", { param: "request_id" }));
      }
      taken.push(...settlements.map(({ requestId, attempt }) => `${requestId}/${attempt}`));
    },
    {
      onError: (error) => errors.push(error),
      onDropped: ({ requestId, attempt }) => dropped.push(`${requestId}/${attempt}`),
    },
  );
  return { queue, taken, dropped, errors, state, calls: () => calls };
}

test("one that is invalid is dropped alone: the thousands beside it are settled, in few calls", async () => {
  const { queue, taken, dropped, calls } = policyOf({ r777: "invalid_request" });
  for (let number = 1; number <= 3_000; number++) queue.push([one(`r${number}`)], number);
  await queue.close();
  expect(dropped).toEqual(["r777/1"]);
  expect(taken).toHaveLength(2_999);
  expect(queue.pending).toBe(0);
  expect(queue.settledThrough(3_000)).toBe(3_000);
  expect(calls()).toBeLessThan(40);
});

test("what comes while others are under way is sent after them, also when its own time was up before", async () => {
  const taken: string[] = [];
  const answers: (() => void)[] = [];
  const queue = new SettlementQueue(
    (settlements) => {
      taken.push(...settlements.map(({ requestId }) => requestId));
      return new Promise<void>((resolve) => answers.push(resolve));
    },
    { onError: () => undefined, onDropped: () => undefined },
  );
  queue.push([one("first")], 1);
  await expect.poll(() => taken).toEqual(["first"]);
  queue.push([one("second")], 2);
  await sleep(50);
  expect(taken).toEqual(["first"]);
  answers.shift()?.();
  await expect.poll(() => taken).toEqual(["first", "second"]);
  answers.shift()?.();
  await queue.close();
});

test("of an outcome's settlements only the invalid one is dropped", async () => {
  const { queue, taken, dropped } = policyOf({ bad: "invalid_request" });
  queue.push([one("good", 1), one("bad", 2), one("good", 3)], 7);
  await queue.close();
  expect(taken).toEqual(["good/1", "good/3"]);
  expect(dropped).toEqual(["bad/2"]);
});

test("one that policy cannot take now waits apart, is pending, and is taken later", async () => {
  const rejects: Record<string, "internal"> = { stuck: "internal" };
  const { queue, taken, dropped } = policyOf(rejects);
  for (const [index, name] of ["a", "b", "stuck", "c"].entries()) queue.push([one(name)], index + 1);
  await expect.poll(() => taken.toSorted((a, b) => a.localeCompare(b))).toEqual(["a/1", "b/1", "c/1"]);
  expect(queue.pending).toBe(1);
  expect(queue.settledThrough(4)).toBe(2);
  delete rejects["stuck"];
  await expect.poll(() => queue.pending, { timeout: 5_000 }).toBe(0);
  expect(queue.settledThrough(4)).toBe(4);
  expect(dropped).toEqual([]);
  await queue.close();
});

test("an owner that is invalid drops nothing", async () => {
  const dropped: unknown[] = [];
  const queue = new SettlementQueue(
    () => Promise.reject(toConnectError(new WeirError("invalid_request", "no", { param: "owner" }))),
    { onError: () => undefined, onDropped: (settlement) => dropped.push(settlement) },
  );
  for (const name of ["a", "b", "c"]) queue.push([one(name)], 1);
  await queue.close();
  expect(dropped).toEqual([]);
  expect(queue.pending).toBe(3);
});

test("while policy is away nothing is halved or dropped; it is told once a try", async () => {
  const { queue, taken, errors, state, calls } = policyOf({});
  state.away = true;
  for (let number = 1; number <= 50; number++) queue.push([one(`r${number}`)], number);
  await expect.poll(() => errors.length, { timeout: 5_000 }).toBe(2);
  expect(calls()).toBe(2);
  state.away = false;
  await expect.poll(() => taken.length, { timeout: 5_000 }).toBe(50);
  expect(calls()).toBe(3);
  await queue.close();
});

test("whatever is invalid, the others are taken once each and what is pending is exactly what policy could not take", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("good", "good", "good", "invalid_request", "internal"), { maxLength: 60 }),
      async (kinds) => {
        const rejects = Object.fromEntries(
          kinds.flatMap((kind, index) => (kind === "good" ? [] : [[`r${index}`, kind]])),
        ) as Record<string, "invalid_request" | "internal">;
        const { queue, taken, dropped } = policyOf(rejects);
        for (const index of kinds.keys()) queue.push([one(`r${index}`)], index + 1);
        await queue.close();
        const named = (wanted: string): string[] =>
          kinds.flatMap((kind, index) => (kind === wanted ? [`r${index}/1`] : []));
        expect(taken).toEqual(named("good"));
        expect(dropped).toEqual(named("invalid_request"));
        expect(queue.pending).toBe(named("internal").length);
      },
    ),
    { numRuns: 200 },
  );
});
