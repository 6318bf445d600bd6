/** Questions that mean the same get the same answer, where a model wants that, and only those. The simulator's vectors tell a text by its first eight letters. */
import type { ModelConfig } from "@weir/config";
import { common, router } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import { type Simulator, startPostgres, startSimulator } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { boot, type BootOptions, type Booted, collect, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => simulator.reset());

const SEMANTIC = { embeddingModel: "vectors", threshold: 0.999, ttlMs: 60_000, maxEntries: 100 };
const PRICE = {
  inputNanosPerMtok: 1_000_000_000n,
  outputNanosPerMtok: 2_000_000_000n,
  requestNanos: 0n,
} as NonNullable<ModelConfig["price"]>;
const KNOWN = { price: PRICE, contextWindow: 100_000, maxOutputTokens: 1_000 };

const config = (semantic: Partial<typeof SEMANTIC> = {}) =>
  configOf(
    [
      provider("one", "openai", { baseUrl: `${simulator.origin}/v1`, region: "eu" }),
      provider("two", "openai-compatible", { baseUrl: `${simulator.origin}/v1`, region: "us" }),
    ],
    [
      model("m", ["one/gpt-4o"], { cacheMs: 60_000, semanticCache: { ...SEMANTIC, ...semantic }, ...KNOWN }),
      model("n", ["one/gpt-4o"], { cacheMs: 60_000, semanticCache: SEMANTIC, ...KNOWN }),
      model("exact", ["one/gpt-4o"], { cacheMs: 60_000 }),
      model("vectors", ["one/text-embedding-3-small"], KNOWN),
    ],
  );
const start = (more: Partial<BootOptions> = {}): Promise<Booted> => boot({ config: config(), ...more });

const body = (content: string, more: object = {}) => ({
  model: "m",
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content },
  ],
  ...more,
});
const ask = (content: string, call: object = {}, more: object = {}) =>
  rawCall("openai-chat", body(content, more), { workspace: "w", ...call });
const control = (name: string, value: string) => ({ headers: [{ name, value }] });
const [ONE, SAME] = ["tell me what a mesh is", "tell me please what a mesh would be"];

const paths = (): string[] => simulator.ledger.map(({ path }) => path.replace(/^.*\/v1\//, ""));
const chats = (): number => paths().filter((path) => path === "chat/completions").length;
const embeddings = (): number => paths().filter((path) => path === "embeddings").length;
const SEMANTIC_HIT = { hit: true, kind: router.CacheKind.SEMANTIC };

describe("a question in other words", () => {
  it("gets the answer, and pays for its vector only", async () => {
    await using weir = await start();
    const held = { holdOwner: "o", holdKeyId: "k", inputBound: 100 };
    const first = await weir.client.complete(ask(ONE, held));
    expect(first.result).toMatchObject({
      cache: { hit: false, miss: router.CacheMiss.ABSENT },
      attempts: [
        { attempt: 5, model: "text-embedding-3-small", billing: router.Billing.CHARGED },
        { attempt: 1, model: "gpt-4o" },
      ],
    });
    const [vector] = first.result?.attempts ?? [];
    expect(vector?.usage?.inputTokens).toBeGreaterThan(0);
    expect(vector?.costNanos).toBe(BigInt(vector?.usage?.inputTokens ?? 0) * 1_000n);

    const again = await weir.client.complete(ask(SAME, held));
    expect(again.output).toEqual(first.output);
    expect(again.result?.cache).toMatchObject(SEMANTIC_HIT);
    expect(again.result?.cache?.similarity).toBeCloseTo(1, 4);
    expect(again.result?.cache?.savedNanos).toBeGreaterThan(0n);
    expect(again.result?.attempts).toMatchObject([{ attempt: 5 }]);
    expect(again.result?.costNanos).toBe(again.result?.attempts[0]?.costNanos);
    // Each was held before it was made, for what it can cost at most.
    expect(weir.extensions.map(({ attempt }) => attempt)).toEqual([5, 5]);
    expect(weir.extensions[1]?.costNanos).toBeGreaterThanOrEqual(again.result?.costNanos ?? 0n);
    expect([chats(), embeddings()]).toEqual([1, 2]);

    // The same words again are an equal request: they cost nothing.
    const equal = await weir.client.complete(ask(SAME, held));
    expect(equal.result).toMatchObject({ costNanos: 0n, attempts: [], cache: SEMANTIC_HIT });
    expect([chats(), embeddings()]).toEqual([1, 2]);
    const metrics = await weir.renderMetrics();
    expect(metrics).toContain('weir_cache_requests_total{model="m",outcome="semantic-hit"} 2');
    expect(metrics).toContain('weir_cache_requests_total{model="m",outcome="miss"} 1');
    expect(metrics).toContain('weir_cache_embeddings_total{end="made"} 2');
    expect(metrics).toMatch(/weir_cache_saved_usd_total\{model="m",outcome="semantic-hit"\} 0\.0*[1-9]/);
  });

  it("gets it as a stream where it asked for one, and only from streams", async () => {
    await using weir = await start();
    const first = await collect(weir.client.streamComplete(ask(ONE, {}, { stream: true })));
    const again = await collect(weir.client.streamComplete(ask(SAME, {}, { stream: true })));
    expect(again.text).toBe(first.text);
    expect(again.start).toMatchObject({ cache: SEMANTIC_HIT, failedAttempts: [{ attempt: 5 }] });
    expect(again.end.result).toMatchObject({ cache: SEMANTIC_HIT, attempts: [{ attempt: 5 }] });
    expect(chats()).toBe(1);
    expect((await weir.client.complete(ask(SAME))).result?.cache).toMatchObject({ hit: false });
    expect(chats()).toBe(2);
  });

  it("waits with its equals for one vector and one answer", async () => {
    simulator.script({ behaviour: { delayMs: 100 } });
    await using weir = await start();
    await Promise.all(Array.from({ length: 50 }, () => weir.client.complete(ask(ONE))));
    const answers = await Promise.all(Array.from({ length: 50 }, () => weir.client.complete(ask(SAME))));
    expect([chats(), embeddings()]).toEqual([1, 2]);
    for (const { result } of answers) expect(result?.cache).toMatchObject(SEMANTIC_HIT);
  });

  it("is compared with no vector that another one made, however near it seems", async () => {
    await using weir = await start();
    await weir.client.complete(ask(ONE));
    const { providers, models } = config();
    const others = [...models.values()].map((one) =>
      one.name === "vectors" ? model("vectors", ["two/text-embedding-3-small"], KNOWN) : one,
    );
    await weir.router.reload(configOf([...providers.values()], others));
    const { result } = await weir.client.complete(ask(SAME));
    expect(result?.cache).toMatchObject({ hit: false, similarity: 0 });
    expect(result?.attempts).toMatchObject([{ attempt: 5, provider: "two" }, { attempt: 1 }]);
  });

  it("is not alike where it is not near enough: then it is told how near it was", async () => {
    await using weir = await start();
    await weir.client.complete(ask(ONE));
    const other = await weir.client.complete(ask("what is the moon made of"));
    expect(other.result?.cache).toMatchObject({ hit: false, similarity: expect.any(Number) as unknown });
    expect(other.result?.cache?.similarity).toBeGreaterThan(0);
    expect(chats()).toBe(2);
  });

  it("is over after its time, and counts from when the answer was made", async () => {
    let skewMs = 0;
    const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
    await using weir = await start({ clock });
    await weir.client.complete(ask(ONE));
    skewMs = 50_000;
    expect((await weir.client.complete(ask(SAME))).result?.cache).toMatchObject(SEMANTIC_HIT);
    skewMs = 61_000;
    // Neither the one that was asked for lately, nor what was kept of it.
    expect((await weir.client.complete(ask(SAME))).result?.cache).toMatchObject({ hit: false });
    expect(chats()).toBe(2);
  });
});

describe("who may not have whose answer", () => {
  /** What makes another request of it, in one place. */
  const changes: Readonly<Record<string, readonly [call: object, more: object]>> = {
    workspace: [{ workspace: "v" }, {}],
    "allowed providers": [{ allowedProviders: ["one"] }, {}],
    "denied providers": [{ deniedProviders: ["two"] }, {}],
    "allowed regions": [{ allowedRegions: ["eu"] }, {}],
    "denied regions": [{ deniedRegions: ["us"] }, {}],
    "output cap": [{ outputCap: 17 }, {}],
    "tool call cap": [{ toolCallCap: 3 }, {}],
    headers: [{ headers: [{ name: "openai-beta", value: "b" }] }, {}],
    model: [{ model: "n" }, { model: "n" }],
    temperature: [{}, { temperature: 0.5 }],
    seed: [{}, { seed: 1 }],
    "a field that nobody knows": [{}, { brand_new: 1 }],
    "end user": [{}, { user: "u" }],
    tools: [{}, { tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }] }],
    "response format": [{}, { response_format: { type: "json_object" } }],
    "system prompt": [
      {},
      {
        messages: [
          { role: "system", content: "Be long." },
          { role: "user", content: SAME },
        ],
      },
    ],
    "a turn before": [
      {},
      {
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hello" },
          { role: "assistant", content: "Hi" },
          { role: "user", content: SAME },
        ],
      },
    ],
  };

  it("is whoever differs in anything else: no hit across workspaces, policies or parameters", async () => {
    const names = fc.constantFrom("as it is", ...Object.keys(changes));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(names, { minLength: 2, maxLength: 6 }), fc.boolean(), async (asked, other) => {
        simulator.reset();
        // Whatever is asked, no tool is called.
        simulator.script({ behaviour: { text: "It is what it is." } });
        await using weir = await start();
        const once = async (content: string, name: string) => {
          const [call, more] = changes[name] ?? [{}, {}];
          const turns =
            "messages" in more ? (more.messages as object[]).with(-1, { role: "user", content }) : undefined;
          const said = turns === undefined ? {} : { messages: turns };
          return (await weir.client.complete(ask(content, call, { ...more, ...said }))).result;
        };
        for (const name of asked) expect((await once(ONE, name))?.cache).toMatchObject({ hit: false });
        expect(chats()).toBe(asked.length);
        // Each of them has its own.
        for (const name of asked) expect((await once(other ? SAME : ONE, name))?.cache).toMatchObject({ hit: true });
        expect(chats()).toBe(asked.length);
      }),
      { numRuns: 12 },
    );
  });

  it.each([
    ["a number", "tell me what happened in 1960", "tell me what happened in 1961"],
    ["a negation", "tell me what is safe", "tell me what is not safe"],
    ["a quoted name", 'tell me what "foo" is', 'tell me what "bar" is'],
    ["code", "tell me what `rm` does", "tell me what `cp` does"],
  ])("is whose question differs in %s, however near", async (_, one, other) => {
    await using weir = await start();
    await weir.client.complete(ask(one));
    expect((await weir.client.complete(ask(other))).result?.cache).toMatchObject({ hit: false });
    expect(chats()).toBe(2);
  });

  it("is whose rules let equal requests only be kept, or whose client wants that", async () => {
    await using weir = await start();
    await weir.client.complete(ask(ONE));
    for (const call of [{ cache: common.CacheChoice.EXACT }, control("x-weir-cache", "exact")]) {
      expect((await weir.client.complete(ask(SAME, call))).result?.cache?.kind).not.toBe(router.CacheKind.SEMANTIC);
    }
    // Of those two the second got the first one's: they want the same.
    expect([chats(), embeddings()]).toEqual([2, 1]);
    expect((await weir.client.complete(ask(SAME))).result?.cache).toMatchObject(SEMANTIC_HIT);
  });
});

describe("what its client asks of it", () => {
  it("no-store and off: nothing is looked for, and nothing kept; no-cache: a new answer, for others, too", async () => {
    await using weir = await start();
    for (const call of [control("cache-control", "no-store"), control("x-weir-cache", "off")]) {
      const { result } = await weir.client.complete(ask(ONE, call));
      expect(result).toMatchObject({
        cache: { hit: false, miss: router.CacheMiss.BYPASS },
        attempts: [{ attempt: 1 }],
      });
    }
    expect([chats(), embeddings()]).toEqual([2, 0]);
    await weir.client.complete(ask(ONE));
    const anew = await weir.client.complete(ask(SAME, control("cache-control", "no-cache")));
    expect(anew.result?.cache).toMatchObject({ hit: false, miss: router.CacheMiss.BYPASS });
    expect(chats()).toBe(4);
    expect((await weir.client.complete(ask(`${SAME} really`))).result?.cache).toMatchObject(SEMANTIC_HIT);
    expect(chats()).toBe(4);
  });

  it("max-age: none that is older", async () => {
    let skewMs = 0;
    const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
    await using weir = await start({ clock });
    await weir.client.complete(ask(ONE));
    skewMs = 10_000;
    expect((await weir.client.complete(ask(SAME, control("cache-control", "max-age=5")))).result?.cache?.hit).toBe(
      false,
    );
    expect((await weir.client.complete(ask(`${SAME} really`))).result?.cache?.hit).toBe(true);
    expect(chats()).toBe(2);
  });

  it("another word of x-weir-cache is an error", async () => {
    await using weir = await start();
    await expect(weir.client.complete(ask(ONE, control("x-weir-cache", "always")))).rejects.toThrow("x-weir-cache");
    expect(paths()).toEqual([]);
  });
});

describe("what never fails a request", () => {
  it("a budget without room for the vector", async () => {
    await using weir = await start({ admit: false });
    const { result } = await weir.client.complete(ask(ONE, { holdOwner: "o", holdKeyId: "k", inputBound: 100 }));
    expect(result).toMatchObject({ attempts: [{ attempt: 1 }], cache: { hit: false } });
    expect(result?.error).toBeUndefined();
    expect(weir.extensions).toMatchObject([{ attempt: 5 }]);
    expect(await weir.renderMetrics()).toContain('weir_cache_embeddings_total{end="refused"} 1');
  });

  it("an embedding that fails: it is recorded", async () => {
    await using weir = await start();
    simulator.script({ times: 1, behaviour: { status: 500 } });
    const { result } = await weir.client.complete(ask(ONE));
    expect(result).toMatchObject({
      attempts: [
        { attempt: 5, status: 500, error: common.ErrorReason.PROVIDER_ERROR },
        { attempt: 1, status: 200 },
      ],
    });
    expect(result?.error).toBeUndefined();
    // Nothing was kept by what was asked, but the equal request's is.
    expect((await weir.client.complete(ask(SAME))).result?.cache?.hit).toBe(false);
    expect((await weir.client.complete(ask(ONE))).result?.cache?.hit).toBe(true);
  });

  it("rules that let nobody make a vector", async () => {
    await using weir = await boot({
      config: configOf(
        [
          provider("one", "openai", { baseUrl: `${simulator.origin}/v1`, region: "eu" }),
          provider("two", "openai-compatible", { baseUrl: `${simulator.origin}/v1`, region: "us" }),
        ],
        [
          model("m", ["one/gpt-4o"], { cacheMs: 60_000, semanticCache: SEMANTIC }),
          model("vectors", ["two/text-embedding-3-small"]),
        ],
      ),
    });
    for (let round = 0; round < 2; round++) {
      const { result } = await weir.client.complete(
        ask(`${ONE} ${"again ".repeat(round)}`, { allowedRegions: ["eu"] }),
      );
      expect(result?.cache).toMatchObject({ hit: false });
    }
    expect([chats(), embeddings()]).toEqual([2, 0]);
  });
});

it("an answer that is not complete in itself is nobody else's", async () => {
  await using weir = await start();
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }];
  for (const content of [ONE, SAME]) {
    const { result } = await weir.client.complete(ask(content, {}, { tools }));
    expect(result).toMatchObject({ finishReason: common.FinishReason.TOOL_CALLS, cache: { hit: false } });
  }
  expect(chats()).toBe(2);
});

it("a model that asks for vectors of who makes none does not start", async () => {
  for (const [embeddingModel, why] of [
    ["nothing-of-that-name", "is no model"],
    ["claude", "makes no embeddings"],
  ] as const) {
    const wrong = configOf(
      [provider("one", "anthropic", { baseUrl: `${simulator.origin}/v1` })],
      [
        model("m", ["one/claude-haiku-4-5"], { cacheMs: 1_000, semanticCache: { ...SEMANTIC, embeddingModel } }),
        model("claude", ["one/claude-haiku-4-5"]),
      ],
    );
    await expect(boot({ config: wrong })).rejects.toThrow(why);
  }
});

it("replicas share it through Postgres, sealed for who has their secret", async () => {
  await using postgres = await startPostgres();
  const shared = (token: string): Promise<Booted> =>
    boot({
      config: { ...config(), meshToken: new Secret(token) },
      database: { connectionString: postgres.url },
    });
  await using first = await shared("a token of the mesh that is long enough");
  await using second = await shared("a token of the mesh that is long enough");
  await using stranger = await shared("another token of the mesh, as long as it");
  // Until its schema is there, nothing is kept.
  let round = 0;
  await expect
    .poll(
      async () => {
        await first.client.complete(ask(`${ONE} ${"again ".repeat(++round)}`));
        return (await second.client.complete(ask(`${SAME} ${"again ".repeat(round)}`))).result?.cache?.kind;
      },
      { timeout: 20_000 },
    )
    .toBe(router.CacheKind.SEMANTIC);
  expect((await stranger.client.complete(ask(SAME))).result?.cache?.hit).toBe(false);
});
