/** Requests that take too long get a second attempt: within a budget, held and billed for itself. */
import { setTimeout as sleep } from "node:timers/promises";
import { common } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { boot, type Booted, collect, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(() => simulator.reset());

const SLOW_MS = 1_500;
const AFTER_MS = 50;
const price = { inputNanosPerMtok: 1_000_000_000n, outputNanosPerMtok: 2_000_000_000n, requestNanos: 0n } as never;

async function hedged(budget: number, more: { admit?: boolean; targets?: readonly string[] } = {}): Promise<Booted> {
  const { admit = true, targets = ["one/m-one", "two/m-two"] } = more;
  const names = new Set(targets.map((target) => target.split("/")[0] as string));
  const providers = [...names].map((name) => provider(name, "openai", { baseUrl: `${simulator.origin}/v1` }));
  const hedge = { afterMs: AFTER_MS, budget };
  const bounds = { price, contextWindow: 100_000, maxOutputTokens: 1_000 };
  return await boot({ config: configOf(providers, [model("m", targets, { hedge, ...bounds })]), admit });
}
const body = (stream: boolean) => ({
  model: "m",
  max_tokens: 100,
  messages: [{ role: "user", content: "hello" }],
  ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
});
const HELD = { holdOwner: "ingress-1", holdKeyId: "key-1", inputBound: 100, outputCap: 100 };
const ask = (stream: boolean) => rawCall("openai-chat", body(stream), HELD);
const result = async (weir: Booted, stream: boolean) =>
  stream
    ? (await collect(weir.client.streamComplete(ask(true)))).end.result
    : (await weir.client.complete(ask(false))).result;

describe.each([{ stream: false }, { stream: true }])("stream: $stream", ({ stream }) => {
  it("a target that takes too long is overtaken by the next: both are held, told and charged, and the slow one is let go", async () => {
    simulator.script({ model: "m-one", behaviour: { delayMs: SLOW_MS } });
    await using weir = await hedged(1);
    const told = await result(weir, stream);
    expect(told?.error).toBeUndefined();
    expect(told?.served).toMatchObject({ provider: "two", attempt: 2 });
    // Whoever served is the last.
    expect(told?.attempts.map(({ attempt, provider: by, billing }) => [attempt, by, billing])).toEqual([
      [1, "one", 3],
      [2, "two", 1],
    ]);
    // Overtaken, which is neither its own failure nor its client's leaving.
    expect(told?.attempts.map(({ error }) => error)).toEqual([common.ErrorReason.HEDGE_LOST, 0]);
    const metrics = await weir.renderMetrics();
    expect(metrics).toContain('weir_hedges_total{model="m",event="started"} 1');
    expect(metrics).toContain('weir_hedges_total{model="m",event="won"} 1');
    expect(metrics).toContain('weir_provider_attempts_total{provider="one",outcome="hedge_lost"} 1');
    expect(weir.extensions.map(({ attempt }) => attempt)).toEqual([2]);
    expect(weir.extensions[0]?.costNanos).toBeGreaterThan(0n);
    const slow = simulator.ledger.find((entry) => entry.model === "m-one");
    await expect.poll(() => slow?.cancelledAtMs).toBeGreaterThan(0);
  });

  it("one that answers in time gets no rival", async () => {
    await using weir = await hedged(1);
    for (let request = 0; request < 5; request++) expect((await result(weir, stream))?.attempts).toHaveLength(1);
    await sleep(2 * AFTER_MS);
    expect(simulator.ledger).toHaveLength(5);
    expect(weir.extensions).toEqual([]);
  });

  it("the first may still answer first: then the second is the one that is cancelled", async () => {
    simulator.script(
      { model: "m-one", behaviour: { delayMs: 5 * AFTER_MS } },
      { model: "m-two", behaviour: { delayMs: SLOW_MS } },
    );
    await using weir = await hedged(1);
    const told = await result(weir, stream);
    expect(told?.served).toMatchObject({ provider: "one", attempt: 1 });
    expect(told?.attempts.map(({ attempt, billing }) => [attempt, billing])).toEqual([
      [2, 3],
      [1, 1],
    ]);
    expect(await weir.renderMetrics()).toContain('weir_hedges_total{model="m",event="lost"} 1');
    const rival = simulator.ledger.find((entry) => entry.model === "m-two");
    await expect.poll(() => rival?.cancelledAtMs).toBeGreaterThan(0);
  });

  it("without a hold there is no second attempt", async () => {
    simulator.script({ model: "m-one", behaviour: { delayMs: 5 * AFTER_MS } });
    await using weir = await hedged(1, { admit: false });
    const told = await result(weir, stream);
    expect(told?.served).toMatchObject({ provider: "one", attempt: 1 });
    expect(told?.attempts).toHaveLength(1);
    expect(weir.extensions).toHaveLength(1);
    expect(simulator.ledger.map((entry) => entry.model)).toEqual(["m-one"]);
    const metrics = await weir.renderMetrics();
    expect(metrics).toContain('weir_hedges_total{model="m",event="denied_by_hold"} 1');
    expect(metrics).not.toContain('event="started"');
  });

  it("one that fails while its rival runs does not end the request, and a third target stands in for both", async () => {
    simulator.script(
      { model: "m-one", behaviour: { delayMs: 3 * AFTER_MS, status: 500 } },
      { model: "m-two", behaviour: { delayMs: 5 * AFTER_MS, status: 500 } },
    );
    await using weir = await hedged(1, { targets: ["one/m-one", "two/m-two", "three/m-three"] });
    const told = await result(weir, stream);
    expect(told?.served).toMatchObject({ provider: "three", attempt: 3 });
    expect(told?.attempts.map(({ attempt, provider: by }) => [attempt, by])).toEqual([
      [1, "one"],
      [2, "two"],
      [3, "three"],
    ]);
    expect(weir.extensions.map(({ attempt }) => attempt)).toEqual([2, 3]);
    expect(simulator.ledger.map((entry) => entry.model)).toEqual(["m-one", "m-two", "m-three"]);
  });

  it("the client's own fault is not tried a third time", async () => {
    simulator.script(
      { model: "m-one", behaviour: { delayMs: 3 * AFTER_MS, status: 400 } },
      { behaviour: { delayMs: 5 * AFTER_MS, status: 500 } },
    );
    await using weir = await hedged(1, { targets: ["one/m-one", "two/m-two", "three/m-three"] });
    expect((await result(weir, stream))?.error?.upstreamStatus).toBe(400);
    expect(simulator.ledger).toHaveLength(2);
  });
});

it("the tail gets shorter, and there are at most (1 + budget) calls for each request", async () => {
  const requests = 200;
  const tailMs = 800;
  const budget = 0.1;
  const tail = async (share: number | undefined): Promise<{ p97: number; calls: number }> => {
    simulator.reset();
    // Every twentieth call of the first target is slow, wherever they come from.
    const pattern = Array.from({ length: requests / 20 }, () => [
      { model: "m-one", times: 19, behaviour: {} },
      { model: "m-one", times: 1, behaviour: { delayMs: tailMs } },
    ]);
    simulator.script(...pattern.flat());
    await using weir = await hedged(share ?? 1e-9);
    const times: number[] = [];
    for (let sent = 0; sent < requests; sent += 10) {
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const sentMs = performance.now();
          expect((await weir.client.complete(ask(false))).result?.error).toBeUndefined();
          times.push(performance.now() - sentMs);
        }),
      );
    }
    return { p97: times.toSorted((a, b) => a - b)[Math.floor(0.97 * requests)] ?? 0, calls: simulator.ledger.length };
  };
  const [without, with_] = [await tail(undefined), await tail(budget)];
  process.stderr.write(
    `p97 ${Math.round(without.p97)} ms without hedges, ${Math.round(with_.p97)} ms with ${with_.calls - requests} hedges of ${requests}\n`,
  );
  expect(without).toMatchObject({ calls: requests });
  expect(without.p97).toBeGreaterThanOrEqual(tailMs);
  expect(with_.p97).toBeLessThan(tailMs);
  expect(with_.calls).toBeGreaterThan(requests);
  expect(with_.calls).toBeLessThanOrEqual((1 + budget) * requests);
}, 120_000);
