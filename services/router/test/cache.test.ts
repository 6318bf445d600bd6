/** Equal requests get the same answer, and only those. */
import { common, router } from "@weir/contracts";
import { type Simulator, startRedis, startSimulator } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  boot,
  type Booted,
  type CallInit,
  collect,
  configOf,
  model,
  provider,
  rawCall,
  type WireName,
} from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => simulator.reset());

const config = () =>
  configOf(
    [
      provider("one", "openai", { baseUrl: `${simulator.origin}/v1`, region: "eu" }),
      provider("two", "anthropic", { baseUrl: `${simulator.origin}/v1` }),
    ],
    [
      model("m", ["one/gpt-4o"], { cacheMs: 60_000 }),
      model("claude", ["two/claude-haiku-4-5"], { cacheMs: 60_000 }),
      model("e", ["one/text-embedding-3-small"], { cacheMs: 60_000 }),
      model("other", ["one/gpt-4o"], { cacheMs: 60_000 }),
      model("plain", ["one/gpt-4o"]),
      model("ruled", ["one/gpt-4o"], { cacheMs: 60_000, rules: [{ when: "request.tags.team == 'x'", use: "plain" }] }),
    ],
  );
const said = (content: string, more: object = {}) => ({ model: "m", messages: [{ role: "user", content }], ...more });
const ask = (body: object, more: object = {}, dialect: WireName = "openai-chat") =>
  rawCall(dialect, body, { workspace: "w", ...more });
const calls = (): number => simulator.ledger.length;
const control = (value: string) => ({ headers: [{ name: "cache-control", value }] });

describe.each(["memory", "redis"] as const)("kept in %s", (where) => {
  let redis: Awaited<ReturnType<typeof startRedis>> | undefined;
  beforeAll(async () => {
    if (where === "redis") redis = await startRedis();
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());
  const start = (clock?: { nowMs: () => number; monotonicMs: () => number }): Promise<Booted> =>
    boot({
      config: config(),
      ...(redis === undefined ? {} : { redisUrl: redis.url }),
      ...(clock === undefined ? {} : { clock }),
    });
  // Redis is asked at once and may not be connected yet: then nothing was kept.
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, where === "redis" ? 100 : 0));

  it("an answer is given again, byte for byte, at no cost, with its age", async () => {
    await using weir = await start();
    await settled();
    const first = await weir.client.complete(ask(said(`a ${where}`)));
    await settled();
    const again = await weir.client.complete(ask(said(`a ${where}`)));
    expect(calls()).toBe(1);
    expect(again.output).toEqual(first.output);
    expect(first.result?.cache).toMatchObject({ hit: false });
    expect(again.result?.cache).toMatchObject({ hit: true, savedNanos: first.result?.costNanos });
    expect(again.result).toMatchObject({
      costNanos: 0n,
      attempts: [],
      usage: { inputTokens: first.result?.usage?.inputTokens },
    });
  });

  it("a stream is given again as a stream", async () => {
    await using weir = await start();
    await settled();
    const body = said(`b ${where}`, { stream: true });
    const first = await collect(weir.client.streamComplete(ask(body)));
    await settled();
    const again = await collect(weir.client.streamComplete(ask(body)));
    expect(calls()).toBe(1);
    expect(again.text).toBe(first.text);
    expect(again.terminal).toBe(first.terminal);
    expect(again.start?.cache).toMatchObject({ hit: true });
    expect(again.end.result?.cache).toMatchObject({ hit: true });
  });

  it("what is translated is kept, too, and so are vectors", async () => {
    await using weir = await start();
    await settled();
    for (let round = 0; round < 2; round++) {
      await weir.client.complete(ask({ ...said(`c ${where}`), model: "claude" }));
      await weir.client.embed(ask({ model: "e", input: `d ${where}` }, {}, "openai-embeddings"));
      await settled();
    }
    expect(calls()).toBe(2);
  });

  it("a thousand equal requests at once make one call", async () => {
    simulator.script({ behaviour: { delayMs: 200 } });
    await using weir = await start();
    await settled();
    const one = () => weir.client.complete(ask(said(`e ${where}`)));
    const answers = await Promise.all(Array.from({ length: 1_000 }, one));
    expect(calls()).toBe(1);
    expect(answers.filter(({ result }) => result?.cache?.hit === true)).toHaveLength(999);
  });

  it("is over after its time", async () => {
    let skewMs = 0;
    const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
    await using weir = await start(clock);
    await settled();
    await weir.client.complete(ask(said(`f ${where}`)));
    await settled();
    skewMs = 61_000;
    await weir.client.complete(ask(said(`f ${where}`)));
    expect(calls()).toBe(2);
  });
});

describe("two replicas with a Redis", () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  /** Resolves when both are connected: what one keeps the other has. */
  async function replicas(): Promise<[Booted, Booted]> {
    const both = await Promise.all([1, 2].map(() => boot({ config: config(), redisUrl: redis.url })));
    const [first, second] = both as [Booted, Booted];
    let round = 0;
    await expect
      .poll(
        async () => {
          const body = said(`${Math.random()} ${++round}`);
          await first.client.complete(ask(body));
          return (await second.client.complete(ask(body))).result?.cache?.hit;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    simulator.reset();
    return [first, second];
  }

  it.each([false, true])("a thousand equal requests at once make one call, streams %s", async (stream) => {
    const [first, second] = await replicas();
    await using _first = first;
    await using _second = second;
    simulator.script({ behaviour: { delayMs: 300 } });
    const body = said("once", stream ? { stream } : {});
    const one = async (_: unknown, index: number) => {
      const { client } = index % 2 === 0 ? first : second;
      if (!stream) return (await client.complete(ask(body))).result;
      return (await collect(client.streamComplete(ask(body)))).end.result;
    };
    const results = await Promise.all(Array.from({ length: 1_000 }, one));
    expect(calls()).toBe(1);
    expect(results.filter((result) => result?.cache?.hit === true)).toHaveLength(999);
  });

  it("one that is gone is not waited for longer than it can hold its place", async () => {
    const [first, second] = await replicas();
    await using _second = second;
    simulator.script({ times: 1, behaviour: { delayMs: 60_000 } });
    const lost = first.client.complete(ask(said("lost"))).catch((error: unknown) => error);
    await expect.poll(calls, { timeout: 10_000 }).toBe(1);
    const waiting = second.client.complete(ask(said("lost")));
    await first[Symbol.asyncDispose]();
    expect((await waiting).result?.error).toBeUndefined();
    expect(calls()).toBe(2);
    await lost;
  }, 60_000);

  it("without Redis each goes by itself", async () => {
    await using weir = await boot({ config: config(), redisUrl: "redis://127.0.0.1:1" });
    const { result } = await weir.client.complete(ask(said("x")));
    expect(result).toMatchObject({ cache: { hit: false } });
    expect(result?.error).toBeUndefined();
  });
});

describe("who may have whose answer", () => {
  /** Each is another request than the plain one. */
  const OTHERS: readonly (readonly [string, { call: CallInit }])[] = [
    ["workspace", ask(said("x"), { workspace: "other" })],
    ["allowed providers", ask(said("x"), { allowedProviders: ["one"] })],
    ["denied providers", ask(said("x"), { deniedProviders: ["two"] })],
    ["allowed regions", ask(said("x"), { allowedRegions: ["eu"] })],
    ["denied regions", ask(said("x"), { deniedRegions: ["us"] })],
    ["output cap", ask(said("x"), { outputCap: 17 })],
    ["tool call cap", ask(said("x"), { toolCallCap: 17 })],
    ["model", ask({ ...said("x"), model: "other" })],
    ["temperature", ask(said("x", { temperature: 0.5 }))],
    [
      "system prompt",
      ask({
        ...said("x"),
        messages: [
          { role: "system", content: "s" },
          { role: "user", content: "x" },
        ],
      }),
    ],
    [
      "tools",
      ask(said("x", { tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }] })),
    ],
    ["unknown field", ask(said("x", { brand_new: 1 }))],
    ["end user", ask(said("x", { user: "u" }))],
    ["beta header", ask(said("x"), { headers: [{ name: "openai-beta", value: "b" }] })],
  ];

  it.each(OTHERS)("not with another %s", async (_, other) => {
    await using weir = await boot({ config: config() });
    await weir.client.complete(ask(said("x")));
    await weir.client.complete(other);
    expect(calls()).toBe(2);
    await weir.client.complete(ask(said("x")));
    expect(calls()).toBe(2);
  });

  it("not with other tags, where rules look at them", async () => {
    await using weir = await boot({ config: config() });
    const tagged = (team: string) => ask({ ...said("x"), model: "ruled" }, { tags: { team } });
    for (const team of ["a", "b", "b"]) await weir.client.complete(tagged(team));
    expect(calls()).toBe(2);
  });

  it("nothing of a call is forgotten here: it makes another request, or is none of the answer's business", async () => {
    const keyed =
      "model raw headers allowed_providers allowed_regions denied_providers denied_regions output_cap tool_call_cap workspace tags cache";
    // Of `cache` see below. Typed callers get no bytes that could be kept. Caps and tools are stated in the body, too.
    const typed = "chat embed";
    const indifferent = {
      requestId: "0197b5a0-0000-7000-8000-000000000000",
      holdOwner: "o",
      holdKeyId: "k",
      inputBound: 99,
      statedCaps: ["max_tokens"],
      tools: { webSearches: true },
      atMs: 5n,
      conversation: "c",
      priority: 3,
      providerLimits: true,
      providerLimitsFailClosed: true,
    };
    const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    expect(router.CallSchema.fields.map(({ name }) => name).toSorted()).toEqual(
      [...`${keyed} ${typed}`.split(" "), ...Object.keys(indifferent).map(snake)].toSorted(),
    );
    await using weir = await boot({ config: config() });
    await weir.client.complete(ask(said("x")));
    for (const [name, value] of Object.entries(indifferent)) {
      const { result } = await weir.client.complete(ask(said("x"), { [name]: value }));
      expect(result?.cache?.hit, name).toBe(true);
    }
    expect(calls()).toBe(1);
  });

  it("is who says the same in another order of members", async () => {
    await using weir = await boot({ config: config() });
    await weir.client.complete(ask({ model: "m", temperature: 1, messages: [{ role: "user", content: "x" }] }));
    await weir.client.complete(ask({ messages: [{ content: "x", role: "user" }], temperature: 1, model: "m" }));
    expect(calls()).toBe(1);
  });

  it("is nobody whose request differs in anything", async () => {
    const bodies = fc.record(
      {
        model: fc.constant("m"),
        messages: fc.array(fc.record({ role: fc.constant("user"), content: fc.string({ maxLength: 3 }) }), {
          minLength: 1,
          maxLength: 2,
        }),
        temperature: fc.integer({ min: 0, max: 2 }),
        seed: fc.nat(2),
      },
      { requiredKeys: ["model", "messages"] },
    );
    const workspaces = fc.constantFrom("a", "b");
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(bodies, workspaces), { maxLength: 12 }), async (asked) => {
        simulator.reset();
        await using weir = await boot({ config: config() });
        const seen = new Set<string>();
        for (const [body, workspace] of asked) {
          const entries = Object.entries(body).toSorted(([a], [b]) => (a < b ? -1 : 1));
          seen.add(JSON.stringify([workspace, entries]));
          await weir.client.complete(ask(body, { workspace }));
        }
        expect(calls()).toBe(seen.size);
      }),
      { numRuns: 25 },
    );
  });
});

describe("what is not kept", () => {
  it("failures, broken streams, and what a model or a key's rules do not keep", async () => {
    await using weir = await boot({ config: config() });
    simulator.script({ times: 1, behaviour: { status: 400 } });
    await weir.client.complete(ask(said("x")));
    await weir.client.complete(ask(said("x")));
    expect(calls()).toBe(2);
    simulator.reset();
    simulator.script({ times: 1, behaviour: { cutAfterEvents: 3, words: 20 } });
    await collect(weir.client.streamComplete(ask(said("y", { stream: true }))));
    await collect(weir.client.streamComplete(ask(said("y", { stream: true }))));
    expect(calls()).toBe(2);
    simulator.reset();
    for (let round = 0; round < 2; round++) {
      const plain = await weir.client.complete(ask({ ...said("z"), model: "plain" }));
      expect(plain.result?.cache).toBeUndefined();
      await weir.client.complete(ask(said("z"), { cache: common.CacheChoice.OFF }));
    }
    expect(calls()).toBe(4);
  });

  it("what its client asks not to be: no-store, no-cache, max-age", async () => {
    let skewMs = 0;
    const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
    await using weir = await boot({ config: config(), clock });
    await weir.client.complete(ask(said("x"), control("no-store")));
    await weir.client.complete(ask(said("x")));
    expect(calls()).toBe(2);
    await weir.client.complete(ask(said("x"), control("no-cache")));
    expect(calls()).toBe(3);
    skewMs = 10_000;
    const stale = await weir.client.complete(ask(said("x"), control("max-age=5")));
    expect(stale.result?.cache).toMatchObject({ hit: false, miss: router.CacheMiss.STALE });
    expect(calls()).toBe(4);
    await weir.client.complete(ask(said("x"), control("max-age=5, whatever")));
    expect(calls()).toBe(4);
    const metrics = await weir.renderMetrics();
    for (const [outcome, times] of [
      ["bypass", 2],
      ["miss", 1],
      ["stale", 1],
      ["hit", 1],
    ] as const)
      expect(metrics).toContain(`weir_cache_requests_total{model="m",outcome="${outcome}"} ${times}`);
    expect(metrics).toMatch(/weir_cache_bytes [1-9]/);
  });

  it("what there is no room for: it is counted", async () => {
    await using weir = await boot({ config: { ...config(), cache: { maxBytes: 2_000 } } });
    for (const content of ["a", "b", "c", "d"]) await weir.client.complete(ask(said(content)));
    expect(await weir.renderMetrics()).toMatch(/weir_cache_evictions_total [1-9]/);
  });

  it("what nobody can have: after some failures those who wait go by themselves", async () => {
    simulator.script({ behaviour: { status: 400, delayMs: 50 } });
    await using weir = await boot({ config: config() });
    const startedMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 200 }, () => weir.client.complete(ask(said("x")))));
    for (const { result } of answers) expect(result?.error).toBeDefined();
    expect(calls()).toBe(200);
    // In line it would be 10 s at least.
    expect(performance.now() - startedMs).toBeLessThan(9_000);
  });

  it("an answer whose caller left: the next of those who wait goes for it", async () => {
    simulator.script({ behaviour: { delayMs: 300 } });
    await using weir = await boot({ config: config() });
    const leaving = new AbortController();
    const first = weir.client.complete(ask(said("x")), { signal: leaving.signal });
    await expect.poll(calls).toBe(1);
    const others = Promise.all([1, 2, 3].map(() => weir.client.complete(ask(said("x")))));
    leaving.abort();
    await expect(first).rejects.toThrow();
    for (const { result } of await others) expect(result?.error).toBeUndefined();
    expect(calls()).toBe(2);
  });
});
