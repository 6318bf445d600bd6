import { spawn } from "node:child_process";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort, type Simulator, startSimulator } from "@weir/testkit";
import { Secret } from "@weir/kernel";
import { createTelemetry } from "@weir/telemetry";
import { inProcessPeers, networkPeers, type Route } from "@weir/mesh";
import { router } from "@weir/contracts";
import { createRouter } from "../src/index.ts";
import { boot, collect, configOf, jsonOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
afterEach(() => simulator.reset());

const openai = () => provider("openai", "openai", { baseUrl: `${simulator.origin}/v1` });
const ask = (name: string, more: object = {}) =>
  rawCall("openai-chat", { model: name, messages: [{ role: "user", content: "hello" }], ...more });

describe("another configuration", () => {
  it("is in force at once, and does not cut what runs", async () => {
    await using weir = await boot({ config: configOf([openai()], [model("old", ["openai/gpt-4o"])]) });
    const before = (await weir.client.listModels({})).version;
    simulator.script({ behaviour: { words: 40, trickleMs: 10 } });
    const running = collect(weir.client.streamComplete(ask("old", { stream: true })));
    await expect.poll(() => simulator.ledger.length).toBe(1);
    await weir.router.reload(configOf([openai()], [model("new", ["openai/gpt-4o-mini"])]));
    await expect(weir.client.complete(ask("old"))).rejects.toThrow("old");
    expect((await weir.client.complete(ask("new"))).output.value).toMatchObject({ status: 200 });
    expect((await weir.client.listModels({})).version).not.toBe(before);
    const { end, terminal } = await running;
    expect(end.result?.error).toBeUndefined();
    expect(terminal).toContain("[DONE]");
  });

  it("knows what was found out of targets that are the same, and nothing of those that are not", async () => {
    const two = () => provider("two", "openai", { baseUrl: `${simulator.origin}/v1`, concurrency: 4 });
    const models = (name: string) => [model(name, ["openai/gpt-4o"]), model("second", ["two/gpt-4o"])];
    await using weir = await boot({ config: configOf([openai(), two()], models("m")) });
    simulator.script({ behaviour: { status: 500 } });
    for (let call = 0; call < 3; call++) for (const name of ["m", "second"]) await weir.client.complete(ask(name));
    const eligible = async (name: string) => (await weir.client.explainRoute({ model: name })).candidates[0]?.eligible;
    expect([await eligible("m"), await eligible("second")]).toEqual([false, false]);

    // Another name, timeouts, and room for calls: the same account at the same place.
    const patient = { ...two(), timeouts: { ...two().timeouts, idleMs: 77 }, concurrency: 5 };
    await weir.router.reload(configOf([openai(), patient], models("renamed")));
    expect([await eligible("renamed"), await eligible("second")]).toEqual([false, false]);
    await weir.router.reload(configOf([openai(), two()], models("m")));
    expect([await eligible("m"), await eligible("second")]).toEqual([false, false]);

    // Another key may do where the first did not.
    const other = { ...openai(), apiKey: new Secret("sk-other-0123456789abcdef") };
    const elsewhere = { ...two(), region: "eu" };
    await weir.router.reload(configOf([other, elsewhere], models("m")));
    expect([await eligible("m"), await eligible("second")]).toEqual([true, true]);
  });

  it("leaves calls that run counted: what has room for one has none while the old one's call runs", async () => {
    const one = () => provider("one", "openai", { baseUrl: `${simulator.origin}/v1`, concurrency: 1 });
    const config = () => configOf([one()], [model("m", ["one/gpt-4o"])]);
    await using weir = await boot({ config: config() });
    simulator.script({ times: 1, behaviour: { delayMs: 300 } });
    const running = weir.client.complete(ask("m"));
    await expect.poll(() => simulator.ledger.length).toBe(1);
    await weir.router.reload(config());
    const next = weir.client.complete(ask("m"));
    expect((await running).result?.error).toBeUndefined();
    // It waited for the other one's end, and not for its time.
    expect((await next).result?.error).toBeUndefined();
    const [first, second] = simulator.ledger;
    expect(second?.atMs).toBeGreaterThanOrEqual((first?.atMs ?? Infinity) + 250);
  });

  it("that cannot be used leaves the one in force", async () => {
    await using weir = await boot({ config: configOf([openai()], [model("old", ["openai/gpt-4o"])]) });
    await expect(weir.router.reload(configOf([provider("x", "no-such-kind")]))).rejects.toThrow("no-such-kind");
    await expect(weir.router.reload(configOf([], [model("m", ["gone/x"])]))).rejects.toThrow("gone");
    expect((await weir.client.complete(ask("old"))).output.value).toMatchObject({ status: 200 });
  });
});

describe("what is listed", () => {
  it("is every alias, and what the configured makers publish, with prices and windows", async () => {
    const price = {
      inputNanosPerMtok: 100_000_000n,
      outputNanosPerMtok: 400_000_000n,
      cachedInputNanosPerMtok: 100_000_000n,
      cacheWriteNanosPerMtok: 100_000_000n,
      requestNanos: 5n,
    } as never;
    const local = provider("local", "vllm", { baseUrl: `${simulator.origin}/v1`, region: "eu" });
    const models = [
      model("mine", ["local/llama"], { price, contextWindow: 8192, maxOutputTokens: 1000, fallbacks: ["free"] }),
      model("free", ["local/unpriced"]),
    ];
    await using weir = await boot({ config: configOf([openai(), local], models) });
    const listed = new Map((await weir.client.listModels({})).models.map((one) => [one.id, one.candidates]));
    expect(listed.get("mine")).toMatchObject([
      {
        provider: "local",
        kind: "vllm",
        region: "eu",
        price: {
          inputNanosPerMtok: 100_000_000n,
          requestNanos: 5n,
          version: expect.stringMatching(/^config#[0-9a-f]{16}$/),
        },
        contextWindow: 8192,
        maxOutputTokens: 1000,
      },
      { model: "unpriced", contextWindow: 0 },
    ]);
    expect(listed.get("free")?.[0]?.price).toBeUndefined();
    expect(listed.get("gpt-4o-mini")).toMatchObject([{ provider: "openai", contextWindow: 128_000 }]);
    const explained = await weir.client.explainRoute({ model: "mine", allowedRegions: ["us"] });
    expect(explained.candidates.map(({ eligible, reason }) => [eligible, reason])).toEqual([
      [false, "its region is not allowed"],
      [false, "its region is not allowed"],
    ]);
    expect((await weir.client.explainRoute({ model: "openai/gpt-4o" })).candidates).toMatchObject([
      { eligible: true, reason: "by priority", candidate: { model: "gpt-4o" } },
    ]);
  });
});

describe("what is said to operators and clients", () => {
  it("holds no key and no prompt, whatever the provider quotes", async () => {
    let log = "";
    const destination = new Writable({
      write(chunk: Buffer, _, done) {
        log += chunk.toString();
        done();
      },
    });
    await using telemetry = createTelemetry({
      service: "router",
      level: "trace",
      env: {},
      processMetrics: false,
      destination,
    });
    const routes: Route[] = [];
    const peers = inProcessPeers(routes);
    await using weir = await createRouter({ config: configOf([openai()]), telemetry, peers });
    routes.push(...weir.routes);
    const client = peers.client(router.RouterService);
    const secrets = /sk-test|my secret prompt|org-/;
    const text = "key sk-test-0123456789abcdef of org-0123456789ab said: my secret prompt";
    for (const status of [400, 401, 403, 429, 500, 503]) {
      simulator.script({ behaviour: { status, text } });
      const { output, result } = await client.complete(ask("gpt-4o"));
      const { retryAfterMs: _, ...error } = result?.error ?? { message: "" };
      expect(JSON.stringify([jsonOf(output), error.message])).not.toMatch(secrets);
    }
    expect(log).toContain("an attempt failed");
    expect(log).not.toMatch(secrets);
  });

  it("names the provider's own id of the request", async () => {
    await using weir = await boot({ config: configOf([openai()]) });
    simulator.script({ behaviour: { headers: { "x-request-id": "req_theirs" } } });
    const { result } = await weir.client.complete(ask("gpt-4o"));
    expect(result?.headers).toMatchObject([{ name: "x-weir-provider-request-id", value: "req_theirs" }]);
  });
});

describe("the router as a process of its own", () => {
  it("serves over the mesh and leaves when asked to", async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [fileURLToPath(new URL("../src/main.ts", import.meta.url))], {
      env: {
        PATH: process.env["PATH"],
        WEIR_RPC_LISTEN: `127.0.0.1:${port}`,
        WEIR_PEER_POLICY: "http://127.0.0.1:9",
        WEIR_LOG_LEVEL: "info",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const output: string[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk.toString()));
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    await expect.poll(() => output.join(""), { timeout: 15_000 }).toContain("router serves");
    await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${port}` });
    const client = peers.client(router.RouterService);
    const { output: answer } = await client.complete(ask("anything"));
    expect(jsonOf(answer)).toMatchObject({ choices: [{ message: { content: "hello" } }] });
    const { text } = await collect(client.streamComplete(ask("anything", { stream: true })));
    expect(text).toContain("data: [DONE]");
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
  });
});
