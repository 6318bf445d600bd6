/** How many calls a target has at once, who waits, and who is turned away. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProviderConfig } from "@weir/config";
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

const TAKES_MS = 300;
const limited = (more: Partial<ProviderConfig>, targets: readonly string[] = ["one/m-one"]): Promise<Booted> => {
  const providers = [...new Set(targets.map((target) => target.split("/")[0] ?? ""))].map((name) =>
    provider(name, "openai", { baseUrl: `${simulator.origin}/v1`, ...more }),
  );
  return boot({ config: configOf(providers, [model("m", targets)]) });
};
const ask = (stream: boolean, more: object = {}) =>
  rawCall(
    "openai-chat",
    { model: "m", messages: [{ role: "user", content: "hello" }], ...(stream ? { stream } : {}) },
    more,
  );
const result = async (weir: Booted, stream: boolean, more: object = {}, signal?: AbortSignal) => {
  const options = signal === undefined ? {} : { signal };
  return stream
    ? (await collect(weir.client.streamComplete(ask(true, more), options))).end.result
    : (await weir.client.complete(ask(false, more), options)).result;
};
const asked = (count: number): Promise<void> => expect.poll(() => simulator.ledger.length, { interval: 2 }).toBe(count);

describe.each([{ stream: false }, { stream: true }])("stream: $stream", ({ stream }) => {
  it("no more than allowed are under way at once, and all are answered in their turn", async () => {
    simulator.script({ behaviour: { delayMs: 50 } });
    await using weir = await limited({ concurrency: 2, queue: { length: 64, waitMs: 20_000 } });
    let most = 0;
    const watching = setInterval(() => {
      most = Math.max(most, simulator.ledger.filter(({ finished }) => !finished).length);
    }, 1);
    const told = await Promise.all(Array.from({ length: 12 }, () => result(weir, stream)));
    clearInterval(watching);
    expect(told.map((one) => one?.error)).toEqual(told.map(() => undefined));
    expect(simulator.ledger).toHaveLength(12);
    expect(most).toBe(2);
  });

  it("a full target is passed over while another has room", async () => {
    simulator.script({ behaviour: { delayMs: TAKES_MS } });
    await using weir = await limited({ concurrency: 1 }, ["one/m-one", "two/m-two"]);
    const told = await Promise.all([result(weir, stream), result(weir, stream)]);
    expect(new Set(told.map((one) => one?.served?.provider))).toEqual(new Set(["one", "two"]));
    expect(told.map((one) => one?.attempts.length)).toEqual([1, 1]);
  });

  it("the highest priority goes first; where the line is full, the lowest is refused, with when to come again", async () => {
    simulator.script({ behaviour: { delayMs: TAKES_MS } });
    await using weir = await limited({ concurrency: 1, queue: { length: 2, waitMs: 20_000 } });
    const order: number[] = [];
    const send = async (priority: number) => {
      const told = await result(weir, stream, { priority });
      order.push(priority);
      return told?.error;
    };
    const first = send(0);
    await asked(1);
    const [low, middle, high, lowest] = [send(1), send(5), send(9), send(0)];
    const metric = (name: string, labels: string): Promise<boolean> =>
      weir.renderMetrics().then((text) => text.includes(`${name}{provider="one",model="m-one",account="0"${labels} 1`));
    for (const priority of [5, 9])
      await expect.poll(() => metric("weir_queue_length", `,priority="${priority}"}`)).toBe(true);
    expect(await metric("weir_target_limit", "}")).toBe(true);
    for (const refused of [await low, await lowest]) {
      expect(refused?.reason).toBe(common.ErrorReason.OVERLOADED);
      expect(refused?.retryAfterMs).toBeGreaterThan(0);
    }
    expect(await Promise.all([first, middle, high])).toEqual([undefined, undefined, undefined]);
    expect(order.slice(-2)).toEqual([9, 5]);
    const metrics = await weir.renderMetrics();
    for (const [priority, end] of [
      ["9", "admitted"],
      ["5", "admitted"],
      ["1", "shed"],
      ["0", "shed"],
    ])
      expect(metrics).toContain(`weir_queue_total{provider="one",priority="${priority}",end="${end}"} 1`);
    expect(metrics).toContain('weir_queue_wait_seconds_count{provider="one",priority="9"} 1');
    expect(metrics).not.toContain("weir_queue_length{");
    expect(simulator.ledger).toHaveLength(3);
  });

  it("nobody waits longer than allowed, and who leaves the line takes nobody's place", async () => {
    simulator.script({ times: 1, behaviour: { delayMs: 2_000 } });
    await using weir = await limited({ concurrency: 1, queue: { length: 8, waitMs: 200 } });
    const slow = result(weir, stream);
    await asked(1);
    const leave = new AbortController();
    const left = result(weir, stream, {}, leave.signal).catch(() => "left");
    const late = await result(weir, stream);
    expect(late?.error?.reason).toBe(common.ErrorReason.OVERLOADED);
    leave.abort();
    await left;
    expect((await slow)?.error).toBeUndefined();
    await sleep(20);
    expect(simulator.ledger).toHaveLength(1);
    // There is room again.
    expect((await result(weir, stream))?.error).toBeUndefined();
  });
});

it("adaptive: a provider that says that it has too much gets fewer calls at once", async () => {
  let laterMs = 0;
  const clock = { nowMs: () => Date.now() + laterMs, monotonicMs: () => performance.now() };
  const providers = [
    provider("one", "openai", {
      baseUrl: `${simulator.origin}/v1`,
      concurrency: "adaptive",
      queue: { length: 200, waitMs: 20_000 },
    }),
  ];
  await using weir = await boot({ config: configOf(providers, [model("m", ["one/m-one"])]), clock });
  const most = async (calls: number): Promise<number> => {
    let seen = 0;
    const watching = setInterval(() => {
      seen = Math.max(seen, simulator.ledger.filter(({ finished }) => !finished).length);
    }, 1);
    await Promise.all(Array.from({ length: calls }, () => result(weir, false)));
    clearInterval(watching);
    return seen;
  };
  simulator.script({ behaviour: { delayMs: 50 } });
  const before = await most(60);
  expect(before).toBeGreaterThanOrEqual(18);
  simulator.script({ behaviour: { status: 429, code: "rate_limit_exceeded", retryAfterS: 1 } });
  for (let call = 0; call < 20; call++) {
    await result(weir, false);
    // It is asked again when it was left alone for long enough.
    laterMs += 2_000;
  }
  simulator.reset();
  simulator.script({ behaviour: { delayMs: 50 } });
  await sleep(50);
  // With answers that are as fast as ever it grows again, from there.
  expect(await most(12)).toBeLessThan(9);
});
