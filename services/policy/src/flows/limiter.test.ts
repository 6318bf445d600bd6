import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { memoryBuckets } from "../adapters/memory-buckets.ts";
import type { LimitOnPath } from "../domain/key-policy.ts";
import { incrementUs, rateOf } from "../domain/gcra.ts";
import type { Take } from "../domain/takes.ts";
import { type Buckets, ScriptsRefusedError } from "../ports.ts";
import { createLimiter, type RunningLimiter } from "./limiter.ts";

/** A store that does what the test says, on a memory of its own. */
class Store {
  mode: "there" | "away" | "hangs" | "refuses" = "there";
  replicas = 1;
  asked = 0;
  readonly buckets: Buckets;

  constructor() {
    const memory = memoryBuckets({ nowUs: () => 0 });
    const via = async <R>(ask: () => Promise<R>): Promise<R> => {
      this.asked += 1;
      await this.answer();
      return await ask();
    };
    this.buckets = {
      take: (argument) => via(() => memory.take(argument)),
      peek: (argument) => via(() => memory.peek(argument)),
      giveBack: (argument) => via(() => memory.giveBack(argument)),
      settle: (argument) => via(() => memory.settle(argument)),
      renew: (argument) => via(() => memory.renew(argument)),
    };
  }

  async answer(): Promise<void> {
    if (this.mode === "away") throw new Error("Connection is closed.");
    if (this.mode === "refuses") throw new ScriptsRefusedError("ERR unknown command 'EVAL'");
    if (this.mode === "hangs") {
      await new Promise((resolve) => setTimeout(resolve, 250));
      throw new Error("Command timed out");
    }
  }

  readonly beat = async (): Promise<number> => {
    await this.answer();
    return this.replicas;
  };
}

let store: Store;
let said: string[];
let limiter: RunningLimiter;

beforeEach(async () => {
  vi.useFakeTimers();
  store = new Store();
  said = [];
  limiter = createLimiter(
    { buckets: store.buckets, replicas: { beat: store.beat, leave: async () => void said.push("left") } },
    memoryBuckets({ nowUs: () => 0 }),
    {
      onAway: () => void said.push("away"),
      onBack: () => void said.push("back"),
      onScriptsRefused: () => void said.push("refused"),
    },
  );
  await limiter.start();
});
afterEach(async () => {
  await limiter[Symbol.asyncDispose]();
  vi.useRealTimers();
});

let made = 0;
function request(bucket: string, failClosed = false): { id: string; takes: Take[] } {
  const limit: LimitOnPath = {
    id: 1,
    place: "key",
    placeName: "k",
    per: "key",
    unit: "requests",
    amount: 8,
    windowMs: 60_000,
    burst: 7,
    failClosed,
  };
  const rate = rateOf(limit.amount, limit.windowMs, limit.burst);
  return {
    id: `r${(made += 1)}`,
    takes: [{ kind: "rate", limit, bucket, rate, cost: 1, incUs: incrementUs(rate, 1) }],
  };
}

async function admitted(bucket: string, of: number): Promise<number> {
  const verdicts = await limiter.take(Array.from({ length: of }, () => request(bucket)));
  return verdicts.filter((verdict) => verdict !== "unavailable" && verdict.refused === undefined).length;
}

test("while the store is away, each replica admits its share of what it admitted before", async () => {
  store.replicas = 4;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await admitted("a", 20)).toBe(8);
  store.mode = "away";
  expect(await admitted("b", 20)).toBe(2);
  expect(said).toEqual(["away"]);
  store.mode = "there";
  await vi.advanceTimersByTimeAsync(250);
  expect(said).toEqual(["away", "back"]);
  expect(await admitted("c", 20)).toBe(8);
});

test("what fails closed is refused without asking, in a batch with what goes on", async () => {
  store.mode = "away";
  await limiter.take([request("a")]);
  const { asked } = store;
  const verdicts = await limiter.take([request("b", true), request("b"), request("c", true)]);
  expect(verdicts.map((verdict) => verdict === "unavailable")).toEqual([true, false, true]);
  expect(store.asked).toBe(asked);
});

test("a store that hangs costs its time-out once; whether it is back is found out beside the requests", async () => {
  store.mode = "hangs";
  const first = limiter.take([request("a")]);
  await vi.advanceTimersByTimeAsync(250);
  await first;
  expect(said).toEqual(["away"]);
  const { asked } = store;
  for (let i = 0; i < 100; i++) {
    expect(await admitted(`b${i}`, 1)).toBe(1);
    await limiter.settle([{ id: "a", attempt: 1, tokens: undefined, over: true }]);
  }
  await vi.advanceTimersByTimeAsync(10_000);
  expect(store.asked).toBe(asked);
  store.mode = "there";
  await vi.advanceTimersByTimeAsync(500);
  expect(said).toEqual(["away", "back"]);
});

test("an outage is found without any request", async () => {
  store.mode = "away";
  await vi.advanceTimersByTimeAsync(1_000);
  expect(said).toEqual(["away"]);
  expect(await admitted("a", 20)).toBe(8);
});

test("a store that refuses scripts is no outage: nothing is counted here instead, until it is set right", async () => {
  store.mode = "refuses";
  expect(await limiter.take([request("a"), request("b", true)])).toEqual(["unavailable", "unavailable"]);
  expect(said).toEqual(["refused"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(said).toEqual(["refused"]);
  store.mode = "there";
  await vi.advanceTimersByTimeAsync(250);
  expect(said).toEqual(["refused", "back"]);
  expect(await admitted("a", 20)).toBe(8);
});

test("a replica that ends says so", async () => {
  await limiter[Symbol.asyncDispose]();
  expect(said).toEqual(["left"]);
});
