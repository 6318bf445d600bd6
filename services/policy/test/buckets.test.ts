import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { openRedis } from "@weir/storage";
import { type BackingService, startRedis } from "@weir/testkit";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryBuckets } from "../src/adapters/memory-buckets.ts";
import { redisBuckets } from "../src/adapters/redis-buckets.ts";
import { incrementUs, rateOf } from "../src/domain/gcra.ts";
import { bucketsContract } from "./buckets.contract.ts";

let server: BackingService;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = openRedis(server.url, { connectionName: "test" });
  await once(redis, "ready");
});
afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

describe("in memory", () => {
  bucketsContract(() => {
    let nowUs = 0;
    return { buckets: memoryBuckets({ nowUs: () => nowUs }), setUs: (us) => void (nowUs = us) };
  });

  test("forgets what says nothing any more, and only that", async () => {
    let nowUs = 0;
    const buckets = memoryBuckets({ nowUs: () => nowUs, sweepAt: 50 });
    const rate = rateOf(1, 1000, 0);
    const limit = {
      id: 1,
      place: "key",
      placeName: "",
      per: "key",
      unit: "requests",
      amount: 1,
      windowMs: 1000,
      burst: 0,
      failClosed: false,
    } as const;
    const ask = async (bucket: string) =>
      (
        await buckets.take([
          { requestId: randomUUID(), takes: [{ limit, rate, bucket, cost: 1, incUs: incrementUs(rate, 1) }] },
        ])
      )[0]?.refused;
    for (let i = 0; i < 500; i++) expect(await ask(`old:${i}`)).toBe(undefined);
    expect(await ask("old:0")).toBe(0);
    nowUs = 2_000_000;
    for (let i = 0; i < 500; i++) expect(await ask(`old:${i}`)).toBe(undefined);
    expect(await ask("old:0")).toBe(0);
  });
});

describe("in Redis", () => {
  bucketsContract(() => {
    let nowUs = 0;
    return {
      buckets: redisBuckets(redis, { prefix: `${randomUUID()}:`, nowUs: () => nowUs }),
      setUs: (us) => void (nowUs = us),
    };
  });

  test("on Redis's own clock, two replicas together admit what one may", async () => {
    const prefix = `${randomUUID()}:`;
    const replicas = [redisBuckets(redis, { prefix }), redisBuckets(redis, { prefix })];
    const rate = rateOf(10, 3_600_000, 49);
    const limit = {
      id: 1,
      place: "key",
      placeName: "",
      per: "key",
      unit: "requests",
      amount: 10,
      windowMs: 3_600_000,
      burst: 49,
      failClosed: false,
    } as const;
    const request = () => ({
      requestId: randomUUID(),
      takes: [{ limit, rate, bucket: "b", cost: 1, incUs: incrementUs(rate, 1) }],
    });
    const verdicts = await Promise.all(Array.from({ length: 200 }, async (_, i) => replicas[i % 2]?.take([request()])));
    expect(verdicts.flat().filter((verdict) => verdict?.refused === undefined)).toHaveLength(50);
  });

  test("goes on after Redis forgot its scripts", async () => {
    const buckets = redisBuckets(redis, { prefix: `${randomUUID()}:` });
    await redis.script("FLUSH");
    await expect(buckets.settle([{ requestId: randomUUID(), attempt: 1, tokens: 1 }])).resolves.toBe(undefined);
  });

  test("keeps nothing longer than it says something", async () => {
    const prefix = `${randomUUID()}:`;
    const rate = rateOf(1, 1000, 0);
    const limit = {
      id: 1,
      place: "key",
      placeName: "",
      per: "key",
      unit: "tokens",
      amount: 1,
      windowMs: 1000,
      burst: 0,
      failClosed: false,
    } as const;
    await redisBuckets(redis, { prefix }).take([
      { requestId: "r", takes: [{ limit, rate, bucket: "b", cost: 1, incUs: incrementUs(rate, 1) }] },
    ]);
    expect(await redis.pttl(`${prefix}b:b`)).toBeLessThanOrEqual(2000);
    expect(await redis.pttl(`${prefix}r:r`)).toBeLessThanOrEqual(10_000);
  });
});
