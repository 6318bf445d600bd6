import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { common, router } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { boot, type Booted, type BootOptions, collect, configOf, jsonOf, model, provider, rawCall } from "./harness.ts";

const { ErrorReason } = common;
let simulator: Simulator;
const booted: Booted[] = [];

beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
afterEach(async () => {
  simulator.reset();
  for (const weir of booted.splice(0)) await weir[Symbol.asyncDispose]();
});

/** Two providers and an alias over both; each test gets its own, so that no health is carried over. */
async function bootPair(options: Partial<BootOptions> = {}): Promise<Booted> {
  const baseUrl = `${simulator.origin}/v1`;
  const providers = [provider("one", "openai", { baseUrl }), provider("two", "openai", { baseUrl })];
  const models = [model("pair", ["one/gpt-4o", "two/gpt-4o-mini"]), model("single", ["one/gpt-4o"])];
  const weir = await boot({ config: configOf(providers, models), ...options });
  booted.push(weir);
  return weir;
}

const ask = (name = "pair", more: object = {}) =>
  rawCall("openai-chat", { model: name, messages: [{ role: "user", content: "hello" }] }, more);
const models = (): string[] => simulator.ledger.map((entry) => entry.model);

describe("an error inside of a 200", () => {
  const inside = (error: object): string => JSON.stringify({ error, user_id: null });

  it("is followed by the next candidate", async () => {
    const weir = await bootPair();
    const raw = inside({ message: "Provider returned error", code: 502, metadata: { provider_name: "x" } });
    simulator.script({ model: "gpt-4o", behaviour: { raw } });
    const { result } = await weir.client.complete(ask());
    expect(models()).toEqual(["gpt-4o", "gpt-4o-mini"]);
    expect(result?.attempts[0]).toMatchObject({ error: ErrorReason.PROVIDER_ERROR, billing: router.Billing.UNKNOWN });
  });

  it("is told in the provider's own words, with the status that it should have had", async () => {
    const weir = await bootPair();
    const raw = inside({ message: "Input was flagged", code: 403, metadata: { reasons: ["violence"] } });
    simulator.script({ behaviour: { raw } });
    const { output, result } = await weir.client.complete(ask());
    expect(output.value).toMatchObject({ status: 403 });
    expect(jsonOf(output)).toEqual(JSON.parse(raw));
    expect(result?.error?.reason).toBe(ErrorReason.PROVIDER_REJECTED);
  });

  it("that is a stream's first event is told in the provider's own words, too", async () => {
    const weir = await bootPair();
    const error = { message: "no call", code: "tool_use_failed", failed_generation: "{", status_code: 400 };
    const raw = `event: error\ndata: ${JSON.stringify({ error })}\n\n`;
    simulator.script({ behaviour: { raw, contentType: "text/event-stream" } });
    const { failure } = (await collect(weir.client.streamComplete(ask()))).end;
    expect(failure).toMatchObject({ status: 400 });
    expect(JSON.parse(Buffer.from(failure?.body ?? []).toString())).toEqual({ error });
  });
});

it("an error in a list, as Google writes some, is read", async () => {
  const weir = await bootPair();
  simulator.script({ behaviour: { status: 400, raw: '[{"error":{"message":"bad picture","code":400}}]' } });
  const { output } = await weir.client.complete(ask());
  expect(output.value).toMatchObject({ status: 400 });
  expect(jsonOf(output)).toMatchObject({ error: { message: "bad picture" } });
});

describe("a provider that fails", () => {
  it.each([
    ["500", { status: 500 }, ErrorReason.PROVIDER_ERROR, router.Billing.NOTHING],
    ["503", { status: 503 }, undefined, router.Billing.NOTHING],
    ["504 of a proxy", { status: 504 }, undefined, router.Billing.UNKNOWN],
    ["429 with a pause", { status: 429, retryAfterS: 3 }, ErrorReason.PROVIDER_RATE_LIMITED, router.Billing.NOTHING],
    ["a broken connection", { refuse: true }, ErrorReason.PROVIDER_ERROR, router.Billing.UNKNOWN],
    ["half an answer", { cutAfterEvents: 0 }, ErrorReason.PROVIDER_ERROR, router.Billing.UNKNOWN],
    ["an answer that is no JSON", { malformed: true }, ErrorReason.PROVIDER_BAD_RESPONSE, router.Billing.UNKNOWN],
    [
      "a redirect",
      { status: 302, raw: "{}", headers: { location: "http://127.0.0.1:1/" } },
      ErrorReason.PROVIDER_BAD_RESPONSE,
      undefined,
    ],
  ])("with %s is followed by the next candidate", async (_, behaviour, reason, billing) => {
    const weir = await bootPair();
    simulator.script({ model: "gpt-4o", behaviour });
    const { output, result } = await weir.client.complete(ask());
    expect(output.value).toMatchObject({ status: 200 });
    expect(models()).toEqual(["gpt-4o", "gpt-4o-mini"]);
    expect(result?.served).toMatchObject({ provider: "two", attempt: 2 });
    expect(result?.attempts).toHaveLength(2);
    expect(result?.attempts[1]).toMatchObject({ attempt: 2, billing: router.Billing.CHARGED });
    expect(await weir.renderMetrics()).toContain('weir_provider_attempts_total{provider="two",outcome="served"} 1');
    if (reason !== undefined) expect(result?.attempts[0]?.error).toBe(reason);
    if (billing !== undefined) expect(result?.attempts[0]?.billing).toBe(billing);
  });

  it.each([
    ["400", { status: 400 }],
    ["401", { status: 401 }],
    ["404", { status: 404 }],
    ["422", { status: 422 }],
  ])("with %s is asked once, and nobody after it", async (_, behaviour) => {
    const weir = await bootPair();
    simulator.script({ behaviour });
    await weir.client.complete(ask());
    expect(models()).toEqual(["gpt-4o"]);
  });

  it("whose quota is used up is never asked again: that request and those after it go elsewhere", async () => {
    const weir = await bootPair();
    simulator.script({ model: "gpt-4o", behaviour: { status: 429, code: "insufficient_quota" } });
    expect((await weir.client.complete(ask())).output.value).toMatchObject({ status: 200 });
    expect((await weir.client.complete(ask())).output.value).toMatchObject({ status: 200 });
    expect(models()).toEqual(["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]);
    simulator.reset();
    simulator.script({ behaviour: { status: 429, code: "insufficient_quota" } });
    const other = await bootPair();
    expect((await other.client.complete(ask("single"))).output.value).toMatchObject({ status: 429 });
    expect(models()).toEqual(["gpt-4o"]);
  });

  it("is asked once more where there is no other, and its answer is the client's", async () => {
    const weir = await bootPair();
    simulator.script({ behaviour: { status: 500, text: "boom" } });
    const { output, result } = await weir.client.complete(ask("single"));
    expect(models()).toEqual(["gpt-4o", "gpt-4o"]);
    expect(output.value).toMatchObject({ status: 500 });
    expect(jsonOf(output)).toMatchObject({ error: { message: "boom" } });
    expect(result?.error?.reason).toBe(ErrorReason.PROVIDER_ERROR);
    expect(result?.served).toBeUndefined();
    expect(result?.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it("is left alone for as long as it asks, and the client told", async () => {
    const weir = await bootPair();
    simulator.script({ behaviour: { status: 429, retryAfterS: 30 } });
    await weir.client.complete(ask("single"));
    const { result, output } = await weir.client.complete(ask("single"));
    expect(models()).toEqual(["gpt-4o"]);
    expect(output.value).toMatchObject({ status: 429 });
    expect(result?.attempts).toEqual([]);
    expect(result?.error?.retryAfterMs).toBeGreaterThan(28_000);
    const { providers } = await weir.client.providerHealth({});
    expect(providers[0]).toMatchObject({ provider: "one", failed: 1n, lastError: ErrorReason.PROVIDER_RATE_LIMITED });
    expect(providers[0]?.coolingUntilMs).toBeGreaterThan(0n);
    const { candidates } = await weir.client.explainRoute({ model: "pair" });
    expect(candidates.map(({ eligible }) => eligible)).toEqual([false, true]);
    expect(candidates[0]?.reason).toContain("provider_rate_limited");
  });

  it("costs no attempt while its breaker is open", async () => {
    const weir = await bootPair();
    simulator.script({ model: "gpt-4o", behaviour: { status: 500 } });
    for (let request = 0; request < 20; request += 1) {
      const { output } = await weir.client.complete(ask());
      expect(output.value).toMatchObject({ status: 200 });
    }
    expect(models().filter((name) => name === "gpt-4o")).toHaveLength(5);
  });

  it("is not asked much more often than there are requests, when everything fails", async () => {
    const weir = await bootPair();
    simulator.script({ behaviour: { status: 500 } });
    const requests = 300;
    for (let request = 0; request < requests; request += 1) await weir.client.complete(ask());
    expect(simulator.ledger.length).toBeLessThanOrEqual(requests * 1.2 + 20);
  });

  it("cannot be reached: nothing was sent, nothing can be billed", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    closed.close();
    const away = provider("away", "openai", { baseUrl: `http://127.0.0.1:${port}/v1` });
    const weir = await boot({ config: configOf([away], [model("m", ["away/x"])]) });
    booted.push(weir);
    const { result, output } = await weir.client.complete(ask("m"));
    expect(output.value).toMatchObject({ status: 502 });
    expect(result?.attempts[0]).toMatchObject({
      error: ErrorReason.PROVIDER_UNREACHABLE,
      billing: router.Billing.NOTHING,
      status: 0,
    });
  });

  it("takes too long: it may be billed", async () => {
    const timeouts = { connectMs: 1_000, firstByteMs: 100, idleMs: 1_000, slowMs: undefined };
    const slow = provider("slow", "openai", { baseUrl: `${simulator.origin}/v1`, timeouts });
    const weir = await boot({ config: configOf([slow], [model("m", ["slow/x"])]) });
    booted.push(weir);
    simulator.script({ behaviour: { delayMs: 2_000 } });
    const { result } = await weir.client.complete(ask("m"));
    expect(result?.attempts[0]).toMatchObject({
      error: ErrorReason.PROVIDER_TIMEOUT,
      billing: router.Billing.UNKNOWN,
    });
  });

  it("takes longer than the call has: the answer comes before the caller stops waiting", async () => {
    const weir = await bootPair();
    simulator.script({ behaviour: { delayMs: 5_000 } });
    const { result } = await weir.client.complete(ask(), { timeoutMs: 400 });
    expect(result?.error?.reason).toBe(ErrorReason.DEADLINE_EXCEEDED);
    expect(result?.attempts).toHaveLength(1);
  });
});

describe("a further attempt", () => {
  const held = { holdOwner: "ingress/1", inputBound: 1000, outputCap: 100 };

  it("is held before it is made, for the most that it can cost", async () => {
    const weir = await bootPair();
    simulator.script({ model: "gpt-4o", behaviour: { status: 500 } });
    await weir.client.complete(ask("pair", held));
    expect(weir.extensions).toEqual([{ attempt: 2, costNanos: 1000n * 150n + 100n * 600n }]);
    expect(models()).toEqual(["gpt-4o", "gpt-4o-mini"]);
  });

  it("is not made if that is refused", async () => {
    const weir = await bootPair({ admit: false });
    simulator.script({ model: "gpt-4o", behaviour: { status: 500 } });
    const { output } = await weir.client.complete(ask("pair", held));
    expect(weir.extensions).toHaveLength(1);
    expect(models()).toEqual(["gpt-4o"]);
    expect(output.value).toMatchObject({ status: 500 });
  });

  it("is not held where nothing is", async () => {
    const weir = await bootPair({ admit: false });
    simulator.script({ model: "gpt-4o", behaviour: { status: 500 } });
    await weir.client.complete(ask());
    expect(weir.extensions).toEqual([]);
    expect(models()).toEqual(["gpt-4o", "gpt-4o-mini"]);
  });
});

describe("a request that nobody may serve", () => {
  it("is refused", async () => {
    const weir = await bootPair();
    await expect(weir.client.complete(ask("nobody"))).rejects.toThrow("nobody");
    await expect(weir.client.complete(ask("pair", { allowedProviders: ["three"] }))).rejects.toThrow("pair");
    expect(simulator.ledger).toHaveLength(0);
  });
});
