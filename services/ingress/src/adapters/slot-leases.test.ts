import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SlotLeases } from "./slot-leases.ts";

let asked: string[][];
let errors: unknown[];
let fails: boolean;
let leases: SlotLeases;

beforeEach(() => {
  vi.useFakeTimers();
  [asked, errors, fails] = [[], [], false];
  const clock = { nowMs: () => Date.now(), monotonicMs: () => Date.now() };
  const client = {
    renewSlots: async ({ requestIds }: { requestIds?: string[] }) => {
      asked.push([...(requestIds ?? [])]);
      if (fails) throw new Error("away");
      return { $typeName: "weir.policy.v1.RenewSlotsResponse" as const };
    },
  };
  leases = new SlotLeases(client, clock, (error) => errors.push(error));
});
afterEach(() => {
  leases[Symbol.dispose]();
  vi.useRealTimers();
});

test("requests are named for as long as they run, once they run for ten seconds; short ones cost nothing", async () => {
  leases.began("long");
  await vi.advanceTimersByTimeAsync(9_000);
  leases.began("short");
  leases.began("middle");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toEqual([["long"]]);
  leases.ended("short");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toEqual([["long"], ["long", "middle"]]);
  leases.ended("long");
  leases.ended("middle");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(2);
  expect(vi.getTimerCount()).toBe(0);
  leases.began("next");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.at(-1)).toEqual(["next"]);
});

test("no request ever goes for twenty seconds without being named, and a failure is tried again well within its lease", async () => {
  leases.began("early");
  await vi.advanceTimersByTimeAsync(100);
  leases.began("late");
  await vi.advanceTimersByTimeAsync(10_000);
  fails = true;
  await vi.advanceTimersByTimeAsync(9_900);
  expect(asked.at(-1)).toEqual(["early", "late"]);
  expect(errors).toHaveLength(1);
  fails = false;
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked).toHaveLength(3);
  expect(errors).toHaveLength(1);
});

test("many go in several calls", async () => {
  for (let i = 0; i < 5_000; i++) leases.began(`r${i}`);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.map(({ length }) => length)).toEqual([4_096, 904]);
});
