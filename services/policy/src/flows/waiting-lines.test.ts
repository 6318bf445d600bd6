import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { memoryBuckets } from "../adapters/memory-buckets.ts";
import { incrementUs, rateOf } from "../domain/gcra.ts";
import type { LimitOnPath, QueueOnPath } from "../domain/key-policy.ts";
import type { Take } from "../domain/takes.ts";
import { createLimiter, type Limiter } from "./limiter.ts";
import { type Place, WaitingLines } from "./waiting-lines.ts";

let limiter: Limiter;
let lines: WaitingLines;
const startedMs = Date.now();

beforeEach(() => {
  vi.useFakeTimers({ now: startedMs });
  const nothing = (): void => undefined;
  const local = memoryBuckets({ nowUs: () => Date.now() * 1000 });
  limiter = createLimiter(undefined, local, { onAway: nothing, onBack: nothing, onScriptsRefused: nothing });
  lines = new WaitingLines(limiter, (error) => {
    throw error;
  });
});
afterEach(() => {
  lines[Symbol.dispose]();
  vi.useRealTimers();
});

/** 1000 tokens a second, 1000 of them at once. */
function tokens(cost: number, queue: Partial<QueueOnPath> = {}): Take {
  const limit: LimitOnPath = {
    id: 1,
    place: "organization",
    placeName: "o",
    per: "model",
    unit: "tokens",
    amount: 1000,
    windowMs: 1000,
    burst: 999,
    failClosed: false,
    queue: { maxWaitMs: 60_000, maxLength: 100, weight: 1, ...queue },
  };
  const rate = rateOf(limit.amount, limit.windowMs, limit.burst);
  return { kind: "rate", limit, bucket: "1:m", rate, cost, incUs: incrementUs(rate, cost) };
}

let made = 0;
const place = (workspaceId: string, take: Take, more: Partial<Place> = {}): Place => ({
  id: `${workspaceId}${(made += 1)}`,
  workspaceId,
  takes: [take],
  maxWaitMs: undefined,
  priority: 0,
  ...more,
});
const never = new AbortController().signal;
const elapsedMs = (): number => Date.now() - startedMs;

test("tokens go to those that wait by their weights, and nobody goes ahead of them", async () => {
  await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
  expect(lines.isBusy([tokens(1)])).toBe(false);
  const served = { a: 0, b: 0 };
  const keepsAsking = async (workspace: "a" | "b", cost: number, weight: number): Promise<void> => {
    for (;;) {
      const verdict = await lines.wait(place(workspace, tokens(cost, { weight })), never);
      if (typeof verdict === "string") return;
      served[workspace] += cost;
    }
  };
  for (let i = 0; i < 20; i++) void keepsAsking("a", 100, 3);
  for (let i = 0; i < 20; i++) void keepsAsking("b", 50, 1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines.isBusy([tokens(1)])).toBe(true);
  expect(served.a + served.b).toBeGreaterThan(58_000);
  expect(served.a / (served.a + served.b)).toBeGreaterThan(0.74);
  expect(served.a / (served.a + served.b)).toBeLessThan(0.76);
});

test("a workspace that asks now and then waits for no more than a request of each, while another floods", async () => {
  await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
  let flooding = true;
  const flood = async (): Promise<void> => {
    while (flooding) await lines.wait(place("heavy", tokens(200)), never);
  };
  for (let i = 0; i < 90; i++) void flood();
  const waits: number[] = [];
  for (let i = 0; i < 50; i++) {
    await vi.advanceTimersByTimeAsync(997);
    const atMs = elapsedMs();
    const light = lines.wait(place("light", tokens(200)), never).then(() => waits.push(elapsedMs() - atMs));
    await vi.advanceTimersByTimeAsync(1_003);
    await light;
  }
  flooding = false;
  // Two requests of 200 tokens take 400 ms; the bucket is looked at every 100 ms.
  expect(Math.max(...waits)).toBeLessThanOrEqual(500);
});

test("who goes away loses its place at once, and what was being taken for it is given back", async () => {
  await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
  const gone = new AbortController();
  const left = lines.wait(place("a", tokens(1000)), gone.signal);
  const stays = lines.wait(place("a", tokens(100)), never);
  await vi.advanceTimersByTimeAsync(150);
  gone.abort();
  expect(await left).toBe("gone");
  await vi.advanceTimersByTimeAsync(100);
  expect(await stays).toMatchObject({ refused: undefined });
  expect(elapsedMs()).toBeLessThan(300);
  expect(await lines.wait(place("a", tokens(1)), gone.signal)).toBe("gone");
  // Aborted while its take was under way: what it took is there for the next.
  const during = new AbortController();
  const cut = lines.wait(place("b", tokens(50)), during.signal);
  during.abort();
  expect(await cut).toBe("gone");
  await vi.advanceTimersByTimeAsync(0);
  const [verdict] = await limiter.take([{ id: "next", takes: [tokens(60)] }]);
  expect(verdict).toMatchObject({ refused: undefined });
});

describe("waiting ends", () => {
  test("after the limit's time, or the request's own where that is shorter", async () => {
    await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
    const slow = lines.wait(place("a", tokens(2000, { maxWaitMs: 700 })), never);
    const slower = lines.wait(place("b", tokens(2000, { maxWaitMs: 700 }), { maxWaitMs: 200 }), never);
    await vi.advanceTimersByTimeAsync(200);
    expect(await slower).toBe("late");
    await vi.advanceTimersByTimeAsync(500);
    expect(await slow).toBe("late");
  });

  test("where a full line has no room for who floods it", async () => {
    await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
    const queue = { maxLength: 2 };
    const heavy = [1, 2, 3].map(() => lines.wait(place("heavy", tokens(900, queue)), never));
    expect(await heavy[2]).toBe("full");
    const light = lines.wait(place("light", tokens(10, queue)), never);
    expect(await heavy[1]).toBe("full");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await light).toMatchObject({ refused: undefined });
  });

  test("where another limit of the request refuses it", async () => {
    await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
    const slot: Take = {
      kind: "slot",
      limit: { ...tokens(1).limit, unit: "concurrency", queue: undefined },
      bucket: "s",
      capacity: 1,
    };
    await limiter.take([{ id: "runs", takes: [slot] }]);
    const waiting = lines.wait(place("a", tokens(100), { takes: [tokens(100), slot] }), never);
    const behind = lines.wait(place("b", tokens(100)), never);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await waiting).toMatchObject({ refused: 0, states: [expect.any(Number), 1] });
    expect(await behind).toMatchObject({ refused: undefined });
  });

  test("when the replica stops", async () => {
    await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
    const waiting = lines.wait(place("a", tokens(2000)), never);
    lines[Symbol.dispose]();
    expect(await waiting).toBe("closing");
    expect(await lines.wait(place("a", tokens(1)), never)).toBe("closing");
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test("the higher priority of a workspace goes first", async () => {
  await limiter.take([{ id: "first", takes: [tokens(1000)] }]);
  const order: number[] = [];
  for (const priority of [0, 5, 9, 5])
    void lines.wait(place("a", tokens(300), { priority }), never).then(() => order.push(priority));
  await vi.advanceTimersByTimeAsync(3_000);
  expect(order).toEqual([9, 5, 5, 0]);
});
