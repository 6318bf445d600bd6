/** What calls cost: whose price when, tools that providers run, and tokens that nobody told. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import type { ContractConfig } from "@weir/config";
import type { router } from "@weir/contracts";
import { nanos } from "@weir/kernel";
import { type Simulator, startSimulator } from "@weir/testkit";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { boot, type Booted, collect, configOf, jsonOf, model, rawCall, simulated } from "./harness.ts";

let simulator: Simulator;
let weir: Booted;

beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
afterEach(async () => {
  simulator.reset();
  await weir[Symbol.asyncDispose]();
});

const start = async (contracts: readonly ContractConfig[] = [], models: Parameters<typeof configOf>[1] = []) => {
  weir = await boot({ config: { ...configOf(simulated(simulator.origin), models), contracts } });
};
const chat = (name: string, more: object = {}) => ({
  model: name,
  messages: [{ role: "user", content: "one two three" }],
  ...more,
});

describe("the price of a call", () => {
  const JUNE = Date.UTC(2027, 5, 1);
  const contract: ContractConfig = {
    id: "acme",
    provider: "openai",
    models: ["gpt-4o*"],
    workspaces: ["team"],
    fromMs: JUNE,
    toMs: 0,
    price: undefined,
    discountBasisPoints: 5000,
  };
  const priced = async (workspace: string, atMs: number): Promise<router.Result | undefined> => {
    const call = rawCall("openai-chat", chat("openai/gpt-4o"), { workspace, atMs: BigInt(atMs) });
    return (await weir.client.complete(call)).result;
  };

  it("is its workspace's, at its time, and says exactly which it was", async () => {
    await start([contract]);
    const list = await priced("team", JUNE - 1);
    const own = await priced("team", JUNE);
    const others = await priced("others", JUNE);
    expect(list?.costNanos).toBeGreaterThan(0n);
    expect(others).toMatchObject({ costNanos: list?.costNanos, priceVersion: list?.priceVersion });
    // 3 + 6 words at $2.50 and $10 per million: no rounding in half of it.
    expect((own?.costNanos ?? 0n) * 2n).toBe(list?.costNanos);
    expect(list?.priceVersion).toMatch(/^genai-prices@[\d.]+\+fees\.\d+$/);
    expect(own?.priceVersion).toMatch(/^genai-prices@[\d.]+\+fees\.\d+\+contract:acme#[0-9a-f]{16}$/);
  });

  it("of a further attempt is held as it will be charged", async () => {
    await start([contract], [model("m", ["openai/gpt-4o"])]);
    simulator.script({ behaviour: { status: 500 }, times: 1 });
    const held = { holdOwner: "o", holdKeyId: "k", inputBound: 1_000_000, outputCap: 1_000_000 };
    const more = { workspace: "team", atMs: BigInt(JUNE), ...held };
    const { result } = await weir.client.complete(rawCall("openai-chat", chat("m"), more));
    expect(result?.attempts).toHaveLength(2);
    // A million tokens of $2.50 and as many of $10 as the window has (128,000), at half the price.
    expect(weir.extensions[0]?.costNanos).toBe(1_250_000_000n + 640_000_000n);
  });

  it("is told to those who hold it, with its times", async () => {
    await start([contract], [model("m", ["openai/gpt-4o"])]);
    const { models } = await weir.client.listModels({});
    const [candidate] = models.find(({ id }) => id === "m")?.candidates ?? [];
    expect(candidate?.prices.map(({ workspace, fromMs }) => [workspace, fromMs])).toEqual([
      ["team", BigInt(JUNE)],
      ["", 0n],
    ]);
    expect(candidate?.price?.inputNanosPerMtok).toBe(2_500_000_000n);
  });
});

describe("a tool that the provider runs", () => {
  const response = {
    id: "resp_1",
    object: "response",
    status: "completed",
    model: "gpt-5",
    created_at: 1,
    output: [
      { type: "web_search_call", id: "a", status: "completed", action: { type: "search", query: "x" } },
      { type: "web_search_call", id: "b", status: "completed", action: { type: "search", query: "y" } },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "ok" }] },
    ],
    usage: { input_tokens: 1000, output_tokens: 100 },
  };
  const asked = { model: "openai/gpt-5", input: "hi", tools: [{ type: "web_search" }] };

  it("is paid for by the call", async () => {
    await start();
    simulator.script({ behaviour: { raw: JSON.stringify(response), contentType: "application/json" } });
    const { result } = await weir.client.complete(rawCall("openai-responses", asked));
    expect(result?.usage?.toolCalls).toMatchObject({ webSearches: 2 });
    // $1.25 and $10 per million tokens, and two searches of $0.01.
    expect(result?.costNanos).toBe(1_250_000n + 1_000_000n + 20_000_000n);
  });

  it("of an unknown fee makes the record say that it is missing", async () => {
    const price = { inputNanosPerMtok: nanos(1_000_000_000n), outputNanosPerMtok: nanos(0n), requestNanos: nanos(0n) };
    const contract = { id: "c", models: [], workspaces: [], fromMs: 0, toMs: 0, discountBasisPoints: 0 };
    await start([{ ...contract, provider: "openai", price }]);
    simulator.script({ behaviour: { raw: JSON.stringify(response), contentType: "application/json" } });
    const { result } = await weir.client.complete(rawCall("openai-responses", asked));
    expect(result).toMatchObject({ costNanos: 1_000_000n });
    expect(result?.priceVersion).toMatch(/^contract:c#[0-9a-f]{16}\+without-tool-fees$/);
  });

  it("gets the limit of calls that it is held for", async () => {
    await start();
    await weir.client.complete(rawCall("openai-responses", asked, { toolCallCap: 10 }));
    await weir.client.complete(rawCall("openai-responses", asked));
    const bodies = simulator.ledger.map(({ body }) => JSON.parse(body) as { max_tool_calls?: number });
    expect(bodies.map((body) => body.max_tool_calls)).toEqual([10, undefined]);
  });
});

describe("tokens that nobody told", () => {
  it("are counted with the model's vocabulary, and told to clients whose answer is written here", async () => {
    await start();
    simulator.script({ behaviour: { usage: false, text: "Antidisestablishmentarianism is long." } });
    const messages = [{ role: "user", content: "How long is it?" }];
    const call = rawCall("anthropic-messages", { model: "openai/gpt-4o", max_tokens: 100, messages });
    const { result, output } = await weir.client.complete(call);
    const outputTokens = countTokens("Antidisestablishmentarianism is long.");
    expect(result?.usage).toMatchObject({ estimated: true, outputTokens });
    expect(jsonOf(output)["usage"]).toMatchObject({
      input_tokens: result?.usage?.inputTokens,
      output_tokens: outputTokens,
    });
    const { text, end } = await collect(
      weir.client.streamComplete(
        rawCall("anthropic-messages", { model: "openai/gpt-4o", max_tokens: 100, messages, stream: true }),
      ),
    );
    expect(end.result?.usage).toMatchObject({ estimated: true, outputTokens });
    expect(text).toContain(`"output_tokens":${outputTokens}`);
  });

  it.each(["openai/gpt-4o", "local/llama"])("of %s are bounded from above where a budget holds them", async (name) => {
    await start();
    const text = "ß".repeat(40);
    simulator.script({ behaviour: { usage: false, text } });
    const held = { holdOwner: "o", holdKeyId: "k", inputBound: 500, outputCap: 60 };
    const { result } = await weir.client.complete(rawCall("openai-chat", chat(name), held));
    const known = name === "openai/gpt-4o";
    // Never more than the hold: the cap.
    expect(result?.usage?.outputTokens).toBe(known ? countTokens(text) : 60);
    if (known) expect(result?.usage?.inputTokens).toBeLessThan(20);
    else expect(result?.usage?.inputTokens).toBe(500);
  });
});

describe("a stream whose client left", () => {
  it.each([
    ["the same dialect", "openai-chat"],
    ["another dialect", "anthropic-messages"],
  ] as const)("is charged what was sent, and at most a hundredth and 16 tokens more: %s", async (_name, dialect) => {
    await start();
    simulator.script({ behaviour: { words: 5_000, trickleMs: 1, usage: false } });
    const body = { ...chat("openai/gpt-4o", { stream: true }), max_tokens: 10_000 };
    const { call } = rawCall(dialect, body);
    let shown = 0;
    let end: router.StreamEnd | undefined;
    const watch = new AbortController();
    const reading = (async () => {
      for await (const { message } of weir.client.streamComplete({ call }, { signal: watch.signal })) {
        if (message.case === "frame" && (shown += 1) === 150) {
          expect(await weir.client.cancel({ requestId: call.requestId ?? "" })).toMatchObject({ found: true });
        }
        if (message.case === "end") end = message.value;
      }
    })();
    await reading;
    await expect.poll(() => simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
    const words = simulator.ledger[0]?.outputTokens ?? 0;
    expect(words).toBeGreaterThan(100);
    const sent = countTokens(Array.from({ length: words }, (_, index) => `word${index}`).join(" "));
    const charged = end?.result?.usage?.outputTokens ?? 0;
    expect(charged).toBeGreaterThanOrEqual(sent);
    expect(charged).toBeLessThanOrEqual(Math.ceil(sent * 1.01) + 16);
    expect(end?.result?.usage?.estimated).toBe(true);
    expect(end?.result?.attempts).toMatchObject([{ billing: 1, costNanos: end?.result?.costNanos }]);
    expect(end?.result?.priceVersion).toContain("genai-prices@");
  });

  it("is unknown to a router where it does not run", async () => {
    await start();
    expect(await weir.client.cancel({ requestId: randomUUID() })).toMatchObject({ found: false });
  });

  it("that is cut all the same ends its provider's stream", async () => {
    await start();
    simulator.script({ behaviour: { words: 5_000, trickleMs: 1 } });
    const cut = new AbortController();
    const { call } = rawCall("openai-chat", chat("openai/gpt-4o", { stream: true }));
    const reading = (async () => {
      for await (const { message } of weir.client.streamComplete({ call }, { signal: cut.signal }))
        if (message.case === "frame") cut.abort();
    })();
    await expect(reading).rejects.toThrow();
    await expect.poll(() => simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
    expect(await weir.client.cancel({ requestId: call.requestId ?? "" })).toMatchObject({ found: false });
  });
});

describe("counting input", () => {
  const count = async (name: string, content: unknown, bytes: number) => {
    const { call } = rawCall("openai-chat", { model: name, messages: [{ role: "user", content }] });
    return (await weir.client.countInput({ call: { ...call, inputBound: bytes } })).inputs;
  };

  it("is an upper bound of what the model reads, below the bytes", async () => {
    await start([], [model("both", ["openai/gpt-4o", "anthropic/claude-haiku-4-5"])]);
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(100);
    const body = Buffer.byteLength(JSON.stringify({ model: "both", messages: [{ role: "user", content: text }] }));
    const inputs = await count("both", text, body);
    expect(inputs).toMatchObject([{ provider: "openai", model: "gpt-4o", textTokens: countTokens(text) }]);
    const [{ tokens } = { tokens: 0 }] = inputs;
    // OpenAI documents seven tokens around one message.
    expect(tokens).toBeGreaterThanOrEqual(countTokens(text) + 7);
    expect(tokens).toBeLessThan(body / 2);
  });

  it("takes a model's own marks for text, and long words in the time of short ones", async () => {
    await start();
    expect(await count("openai/gpt-4o", "<|endoftext|> <|im_start|>", 100)).toHaveLength(1);
    const started = performance.now();
    const inputs = await Promise.all(
      ["a".repeat(300_000), " ".repeat(300_000), "漢".repeat(100_000)].map((text) =>
        count("openai/gpt-4o", text, 300_000),
      ),
    );
    for (const [one] of inputs) expect(one?.tokens).toBeLessThan(300_000);
    // Uncut, each of them takes half a minute and more.
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it("says nothing of bodies that nobody can read", async () => {
    await start();
    const { call } = rawCall("openai-chat", "{", { model: "openai/gpt-4o" });
    expect((await weir.client.countInput({ call: { ...call, inputBound: 1 } })).inputs).toEqual([]);
  });

  it("loads vocabularies when they are first needed, in a thread of their own, and never before", async () => {
    const threads: string[] = [];
    const seen = (worker: Worker): void => void threads.push(worker.threadName ?? "");
    process.on("worker", seen);
    try {
      await start();
      await weir.client.listModels({});
      await weir.client.complete(rawCall("openai-chat", chat("openai/gpt-4o")));
      await collect(weir.client.streamComplete(rawCall("openai-chat", chat("openai/gpt-4o", { stream: true }))));
      await sleep(50);
      expect(threads).toEqual([]);
      await count("openai/gpt-4o", "hello", 100);
      await count("openai/gpt-4", "hello", 100);
      expect(threads).toHaveLength(1);
    } finally {
      process.off("worker", seen);
    }
  });
});
