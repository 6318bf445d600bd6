import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { openRedis } from "@weir/storage";
import { type BackingService, startRedis } from "@weir/testkit";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryBuckets } from "../src/adapters/memory-buckets.ts";
import { redisBuckets } from "../src/adapters/redis-buckets.ts";
import { redisReplicas } from "../src/adapters/redis-replicas.ts";
import { type Buckets, type Replicas, ScriptsRefusedError } from "../src/ports.ts";
import { bucketsContract, takeOf } from "./buckets.contract.ts";
import type { LimitOfVector } from "./gcra-vectors.ts";

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

  const oneASecond: LimitOfVector = { unit: "requests", amount: 1, windowMs: 1000, burst: 0 };
  const asking =
    (buckets: Buckets) =>
    async (bucket: string, terms = oneASecond): Promise<number | undefined> =>
      (await buckets.take([{ id: randomUUID(), takes: [takeOf(bucket, terms, 0)] }]))[0]?.refused;

  test("forgets what says nothing any more, and only that", async () => {
    let nowUs = 0;
    const ask = asking(memoryBuckets({ nowUs: () => nowUs, maxBuckets: 500 }));
    for (let i = 0; i < 500; i++) expect(await ask(`old:${i}`)).toBe(undefined);
    expect(await ask("old:0")).toBe(0);
    nowUs = 2_000_000;
    for (let i = 500; i < 1000; i++) expect(await ask(`old:${i}`)).toBe(undefined);
    expect(await ask("old:500")).toBe(0);
  });

  test("when it is full, newcomers share what one may have; who was there keeps its own; it heals", async () => {
    let nowUs = 0;
    const ask = asking(memoryBuckets({ nowUs: () => nowUs, maxBuckets: 100 }));
    for (let i = 0; i < 100; i++) expect(await ask(`known:${i}`)).toBe(undefined);
    expect(await ask("stranger:0")).toBe(undefined);
    for (let i = 1; i < 100; i++) expect(await ask(`stranger:${i}`)).toBe(0);
    nowUs = 1_000_000;
    expect(await ask("known:5")).toBe(undefined);
    expect(await ask("stranger:1")).toBe(undefined);
    expect(await ask("stranger:2")).toBe(0);
    nowUs = 10_000_000;
    for (let i = 0; i < 50; i++) expect(await ask(`stranger:${i}`)).toBe(undefined);
  });

  test("when it is full, newcomers share the slots of one", async () => {
    let nowUs = 0;
    const ask = asking(memoryBuckets({ nowUs: () => nowUs, maxBuckets: 10 }));
    const two: LimitOfVector = { unit: "concurrency", amount: 2, windowMs: 0, burst: 0 };
    for (let i = 0; i < 10; i++) expect(await ask(`known:${i}`, two)).toBe(undefined);
    expect([await ask("a", two), await ask("b", two), await ask("c", two)]).toEqual([undefined, undefined, 0]);
    expect(await ask("known:3", two)).toBe(undefined);
    nowUs = 31_000_000;
    expect(await ask("c", two)).toBe(undefined);
  });

  test("of too many requests the oldest are forgotten: what they took stays taken, their slots end with the lease", async () => {
    let nowUs = 0;
    const buckets = memoryBuckets({ nowUs: () => nowUs, maxRequests: 10 });
    const terms: LimitOfVector = { unit: "tokens", amount: 1000, windowMs: 10_000, burst: 99 };
    const two: LimitOfVector = { unit: "concurrency", amount: 2, windowMs: 0, burst: 0 };
    const takes = [takeOf("t", terms, 100), takeOf("c", two, 0)];
    await buckets.take([{ id: "first", takes }]);
    for (let i = 0; i < 20; i++) await asking(buckets)(`other:${i}`);
    nowUs = 2_000_000;
    await asking(buckets)("last");
    await buckets.settle([{ id: "first", attempt: 1, tokens: { total: 0, parts: undefined }, over: true }]);
    await buckets.renew(["first"]);
    const look = async () => (await buckets.take([{ id: randomUUID(), takes: [takeOf("c", two, 0)] }]))[0]?.states[0];
    expect(await look()).toBe(2);
    nowUs = 30_000_000;
    expect(await look()).toBe(2);
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
    const terms: LimitOfVector = { unit: "requests", amount: 10, windowMs: 3_600_000, burst: 49 };
    const request = () => ({ id: randomUUID(), takes: [takeOf("b", terms, 0)] });
    const verdicts = await Promise.all(Array.from({ length: 200 }, async (_, i) => replicas[i % 2]?.take([request()])));
    expect(verdicts.flat().filter((verdict) => verdict?.refused === undefined)).toHaveLength(50);
  });

  test("goes on after Redis forgot its scripts", async () => {
    const buckets = redisBuckets(redis, { prefix: `${randomUUID()}:` });
    await redis.script("FLUSH");
    const use = { id: randomUUID(), attempt: 1, tokens: undefined, over: false };
    await expect(buckets.settle([use])).resolves.toBe(undefined);
  });

  test("keeps nothing longer than it says something, and an hour at most", async () => {
    const prefix = `${randomUUID()}:`;
    const buckets = redisBuckets(redis, { prefix });
    const short: LimitOfVector = { unit: "tokens", amount: 1, windowMs: 1000, burst: 0 };
    const long: LimitOfVector = { unit: "tokens", amount: 1, windowMs: 86_400_000, burst: 0 };
    const two: LimitOfVector = { unit: "concurrency", amount: 2, windowMs: 0, burst: 0 };
    await buckets.take([{ id: "r", takes: [takeOf("b", short, 1)] }]);
    expect(await redis.pttl(`${prefix}b:b`)).toBeLessThanOrEqual(2000);
    expect(await redis.pttl(`${prefix}r:r`)).toBeLessThanOrEqual(10_000);
    await buckets.take([{ id: "l", takes: [takeOf("long", long, 1)] }]);
    expect(await redis.pttl(`${prefix}r:l`)).toBeLessThanOrEqual(3_600_000);
    expect(await redis.pttl(`${prefix}r:l`)).toBeGreaterThan(3_500_000);
    await buckets.take([{ id: "s", takes: [takeOf("slot", two, 0)] }]);
    expect(await redis.pttl(`${prefix}s:slot`)).toBeLessThanOrEqual(30_000);
    expect(await redis.pttl(`${prefix}r:s`)).toBeLessThanOrEqual(60_000);
  });

  test("replicas count each other, and one that stops is not counted any more", async () => {
    const key = `${randomUUID()}:replicas`;
    const [a, b, c] = ["a", "b", "c"].map((name) => redisReplicas(redis, { key, name })) as [
      Replicas,
      Replicas,
      Replicas,
    ];
    expect([await a.beat(), await b.beat(), await a.beat(), await c.beat()]).toEqual([1, 2, 2, 3]);
    await b.leave();
    expect(await a.beat()).toBe(2);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(5_000);
  });

  test("a Redis that runs no scripts is told from one that is away", async () => {
    const user = `u${randomUUID().slice(0, 8)}`;
    await redis.call("ACL", "SETUSER", user, "on", ">secret", "~*", "+@all", "-@scripting");
    const url = new URL(server.url);
    url.username = user;
    url.password = "secret";
    const refusing = openRedis(url.href, { connectionName: "refusing" });
    await once(refusing, "ready");
    await expect(redisBuckets(refusing).renew(["r"])).rejects.toThrow(ScriptsRefusedError);
    await expect(redisReplicas(refusing, { name: "a" }).beat()).rejects.toThrow(ScriptsRefusedError);
    refusing.disconnect();
    await expect(redisBuckets(refusing).renew(["r"])).rejects.not.toThrow(ScriptsRefusedError);
  });

  test("a proxy that knows no hashes of scripts is sent their text", async () => {
    const proxied = redis.duplicate();
    await once(proxied, "ready");
    proxied.evalsha = () => Promise.reject(new Error("ERR unknown command 'EVALSHA', with args beginning with: "));
    await expect(redisReplicas(proxied, { key: randomUUID(), name: "a" }).beat()).resolves.toBe(1);
    proxied.disconnect();
  });
});
