/** Limits as the other services ask for them, over two replicas on a real Redis. */
import { randomUUID } from "node:crypto";
import { policy } from "@weir/contracts";
import { type BackingPostgres, type BackingService, startPostgres, startRedis } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { admitOne, type Replica, replica } from "./service-fixture.ts";

let postgres: BackingPostgres;
let redis: BackingService;
let a: Replica;
let b: Replica;
beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const url = await postgres.freshDatabase();
  [a, b] = await Promise.all([replica(url, { redisUrl: redis.url }), replica(url, { redisUrl: redis.url })]);
});
afterAll(async () => {
  await a[Symbol.asyncDispose]();
  await b[Symbol.asyncDispose]();
  await redis[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const { LimitSubject, LimitUnit } = policy;
interface Terms {
  readonly per: policy.LimitSubject;
  readonly unit: policy.LimitUnit;
  readonly amount: bigint;
  readonly windowMs?: bigint;
  readonly burst?: bigint;
  readonly failClosed?: boolean;
  readonly only?: string;
  readonly queue?: { maxWaitMs: number; maxLength: number; weights: Record<string, number> };
}

async function keyWith(...limits: Terms[]): Promise<string> {
  const { key } = await a.admin.createKey({ name: `k-${randomUUID().slice(0, 8)}` }, a.asAdmin);
  const keyId = key?.id ?? "";
  for (const terms of limits)
    await a.admin.putLimit({ place: { place: { case: "key", value: keyId } }, ...terms }, a.asAdmin);
  // The other one hears of it within a second.
  await expect
    .poll(
      async () =>
        (await b.admin.listLimits({}, b.asAdmin)).limits.filter(({ place }) => place?.place.value === keyId).length,
    )
    .toBe(limits.length);
  await new Promise((resolve) => setTimeout(resolve, 700));
  return keyId;
}

const settle = (on: Replica, keyId: string, requestId: string, outcome: policy.Settlement["outcome"], attempt = 1) =>
  on.policy.settleBatch({ owner: "owner", settlements: [{ requestId, keyId, attempt, outcome }] });
const charge = { case: "charge", value: { costNanos: 0n, tokens: 1n } } as policy.Settlement["outcome"];

test("as many run at a time over all replicas as may; what is settled, or was never called, makes room", async () => {
  const keyId = await keyWith({ per: LimitSubject.KEY, unit: LimitUnit.CONCURRENCY, amount: 2n });
  const [one, two] = [await admitOne(a, { keyId }), await admitOne(b, { keyId })];
  expect([one.admitted, two.admitted]).toEqual([true, true]);
  const full = await admitOne(a, { keyId });
  expect(full.refused?.error?.message).toContain("2 requests per key at a time");
  expect(full.limits).toMatchObject([{ unit: "concurrency", limit: 2n, remaining: 0n, resetMs: 0n, windowMs: 0n }]);
  // A further attempt's settlement is not the end of its request.
  await settle(b, keyId, one.requestId, charge, 2);
  expect((await admitOne(b, { keyId })).admitted).toBe(false);
  await settle(b, keyId, one.requestId, charge);
  const three = await admitOne(b, { keyId });
  expect(three.admitted).toBe(true);
  await settle(a, keyId, two.requestId, { case: "void", value: { notCalled: true } } as policy.Settlement["outcome"]);
  expect((await admitOne(a, { keyId })).admitted).toBe(true);
  await a.policy.renewSlots({ requestIds: [three.requestId, randomUUID()] });
});

describe("limits of providers", () => {
  const extend = (on: Replica, keyId: string, requestId: string, provider: string, attempt = 1, tokens = 10) =>
    on.policy.extend({
      owner: "",
      keyId,
      requestId,
      attempt,
      provider,
      bound: { costNanos: 0n, tokens: BigInt(tokens) },
      inputTokens: tokens,
    });

  test("are taken per attempt, by the provider that it asks, and corrected when it is settled", async () => {
    const hour = { windowMs: 3_600_000n };
    const keyId = await keyWith(
      { per: LimitSubject.PROVIDER, unit: LimitUnit.INPUT_TOKENS, amount: 100n, burst: 99n, ...hour },
      { per: LimitSubject.PROVIDER, unit: LimitUnit.CONCURRENCY, amount: 1n, only: "slow" },
    );
    const { requestId, admitted, limits } = await admitOne(a, { keyId });
    expect([admitted, limits]).toEqual([true, []]);
    expect((await extend(a, keyId, requestId, "slow", 1, 60)).verdict.case).toBe("admitted");
    expect((await extend(b, keyId, requestId, "slow", 1, 60)).verdict.case).toBe("admitted");
    const other = randomUUID();
    const busy = await extend(b, keyId, other, "slow");
    expect(busy.verdict).toMatchObject({ case: "refused", value: { rule: expect.stringContaining("provider slow") } });
    expect((await extend(b, keyId, other, "fast")).verdict.case).toBe("admitted");
    // Of the attempt, not of the request: 55 of its 60 tokens are there again, and its place.
    await a.policy.settleBatch({
      owner: "owner",
      settlements: [{ requestId, keyId, attempt: 1, outcome: charge, inputTokens: 5n, outputTokens: 7n }],
    });
    expect((await extend(b, keyId, randomUUID(), "slow", 1, 95)).verdict.case).toBe("admitted");
  });

  test("an attempt that is not made after all gives back what it took", async () => {
    const keyId = await keyWith({ per: LimitSubject.PROVIDER, unit: LimitUnit.CONCURRENCY, amount: 1n });
    const requestId = randomUUID();
    expect((await extend(a, keyId, requestId, "p", 3)).verdict.case).toBe("admitted");
    await settle(b, keyId, requestId, { case: "void", value: { notCalled: true } } as policy.Settlement["outcome"], 3);
    expect((await extend(b, keyId, randomUUID(), "p")).verdict.case).toBe("admitted");
  });

  test("an ingress hears of them with the key", async () => {
    const keyId = await keyWith({
      per: LimitSubject.PROVIDER,
      unit: LimitUnit.CONCURRENCY,
      amount: 1n,
      failClosed: true,
    });
    for await (const { event } of b.policy.watch({})) {
      if (event.case !== "snapshot") continue;
      const view = event.value.keys.find((key) => key.keyId === keyId);
      if (view === undefined) continue;
      expect(view).toMatchObject({
        hasLimit: true,
        hasConcurrencyLimit: true,
        hasProviderLimit: true,
        providerLimitFailsClosed: true,
      });
      return;
    }
  });
});

describe("a limit that queues", () => {
  const terms: Terms = {
    per: LimitSubject.MODEL,
    unit: LimitUnit.TOKENS,
    amount: 100n,
    windowMs: 1000n,
    burst: 99n,
    queue: { maxWaitMs: 5_000, maxLength: 3, weights: {} },
  };
  const admission = (keyId: string, tokens: number, more: { maxWaitMs?: number; priority?: number } = {}) => ({
    requestId: randomUUID(),
    keyId,
    model: "m",
    bound: { costNanos: 0n, tokens: BigInt(tokens) },
    inputTokens: tokens,
    ...more,
  });

  test("says that a request must wait, and admits it when its turn comes", async () => {
    const keyId = await keyWith(terms);
    expect((await admitOne(a, { keyId, tokens: 100, model: "m" })).admitted).toBe(true);
    const waits = admission(keyId, 30);
    const { verdicts } = await a.policy.admitBatch({ owner: "owner", admissions: [waits] });
    expect(verdicts[0]?.verdict).toMatchObject({ case: "waiting", value: { maxWaitMs: 5_000 } });
    const startedMs = performance.now();
    const { verdict } = await a.policy.awaitAdmission({ owner: "owner", admission: waits });
    expect(verdict?.verdict.case).toBe("admitted");
    expect(performance.now() - startedMs).toBeGreaterThan(150);
    // What was taken is taken once, though it is asked for again.
    const again = await a.policy.awaitAdmission({ owner: "owner", admission: waits });
    expect(again.verdict?.verdict.case).toBe("admitted");
  });

  test("refuses who does not wait, whose time is over, and who comes to a full queue; who leaves makes room", async () => {
    const keyId = await keyWith(terms);
    expect((await admitOne(a, { keyId, tokens: 100, model: "m" })).admitted).toBe(true);
    const impatient = await a.policy.admitBatch({
      owner: "owner",
      admissions: [admission(keyId, 100, { maxWaitMs: 0 })],
    });
    expect(impatient.verdicts[0]?.verdict).toMatchObject({ case: "refused" });
    const late = await a.policy.awaitAdmission({ owner: "o", admission: admission(keyId, 100, { maxWaitMs: 50 }) });
    expect(late.verdict?.verdict).toMatchObject({ case: "refused" });
    const gone = new AbortController();
    const waiting = Array.from({ length: 3 }, () =>
      a.policy.awaitAdmission({ owner: "o", admission: admission(keyId, 150) }, { signal: gone.signal }).then(
        ({ verdict }) => verdict?.verdict.case,
        () => "left",
      ),
    );
    await expect
      .poll(async () => {
        const full = await a.policy.awaitAdmission({
          owner: "o",
          admission: admission(keyId, 150, { maxWaitMs: 200 }),
        });
        const { verdict } = full.verdict ?? {};
        return verdict?.case === "refused" ? verdict.value.error?.message : verdict?.case;
      })
      .toContain("Too many wait");
    gone.abort();
    expect(await Promise.all(waiting)).toEqual(["left", "left", "left"]);
    const next = await a.policy.awaitAdmission({ owner: "o", admission: admission(keyId, 50) });
    expect(next.verdict?.verdict.case).toBe("admitted");
  });

  test("what no waiting admits is refused at once", async () => {
    const keyId = await keyWith(terms);
    const { verdicts } = await a.policy.admitBatch({ owner: "owner", admissions: [admission(keyId, 200)] });
    expect(verdicts[0]?.verdict).toMatchObject({ case: "refused" });
  });
});

test("terms that are none are refused, by name", async () => {
  const place = { place: { case: "workspace", value: "default" } } as const;
  const rate = { per: LimitSubject.KEY, unit: LimitUnit.REQUESTS, amount: 1n, windowMs: 1000n };
  const queue = { maxWaitMs: 1, maxLength: 1, weights: {} };
  for (const [terms, text] of [
    [{ ...rate, unit: LimitUnit.CONCURRENCY }, "no window"],
    [{ ...rate, unit: LimitUnit.CONCURRENCY, windowMs: 0n, burst: 1n }, "no burst"],
    [{ ...rate, windowMs: 0n }, "a second to a day"],
    [{ ...rate, only: "m" }, "per model or provider"],
    [{ ...rate, queue }, "under limits per model"],
    [{ ...rate, per: LimitSubject.MODEL, queue: { ...queue, maxWaitMs: 0 } }, "10 minutes"],
    [{ ...rate, per: LimitSubject.MODEL, queue: { ...queue, weights: { w: 0 } } }, "weight"],
  ] as const)
    await expect(a.admin.putLimit({ place, ...terms }, a.asAdmin), text).rejects.toThrow(text);
});
