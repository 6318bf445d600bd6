/** A provider that becomes slow loses its requests, and gets them back. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boot, collect, configOf, model, provider, rawCall } from "./harness.ts";

/** The router's clock runs so much faster, that the test need not wait for what takes it half a minute. */
const FASTER = 5;
const clock = { nowMs: () => Date.now() * FASTER, monotonicMs: () => performance.now() * FASTER };
/** Long against what a busy machine adds to it. */
const USUAL_MS = 60;
const CLIENTS = 6;

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());

describe.each([{ stream: false }, { stream: true }])("the strategy latency, stream: $stream", ({ stream }) => {
  it("takes 90 % of the requests off a provider that became five times slower within 5 s, and gives them back", async () => {
    simulator.reset();
    const delays = (one: number, two: number): void =>
      simulator.script(
        { model: "m-one", behaviour: { delayMs: one } },
        { model: "m-two", behaviour: { delayMs: two } },
      );
    delays(USUAL_MS, USUAL_MS);
    const providers = ["one", "two"].map((name) => provider(name, "openai", { baseUrl: `${simulator.origin}/v1` }));
    const models = [model("m", ["one/m-one", "two/m-two"], { strategies: ["latency"] })];
    await using weir = await boot({ config: configOf(providers, models), clock, random: Math.random });
    let running = true;
    const client = async (): Promise<void> => {
      const ask = () => rawCall("openai-chat", { model: "m", stream, messages: [{ role: "user", content: "hello" }] });
      while (running) {
        if (stream) await collect(weir.client.streamComplete(ask()));
        else await weir.client.complete(ask());
      }
    };
    const clients = Array.from({ length: CLIENTS }, client);
    /** What part of the requests of so long the first provider gets, in seconds of the router's clock. */
    const shareOfOne = async (seconds: number): Promise<number> => {
      const before = simulator.ledger.length;
      await sleep((seconds * 1_000) / FASTER);
      const asked = simulator.ledger.slice(before);
      return asked.filter((entry) => entry.model === "m-one").length / asked.length;
    };
    try {
      await sleep(1_000);
      const usual = await shareOfOne(5);
      delays(5 * USUAL_MS, USUAL_MS);
      await sleep(5_000 / FASTER);
      const slow = await shareOfOne(10);
      delays(USUAL_MS, USUAL_MS);
      process.stderr.write(`of one: ${usual.toFixed(2)} usually, ${slow.toFixed(3)} when slow\n`);
      expect(usual).toBeGreaterThan(0.2);
      expect(slow).toBeLessThanOrEqual(0.1);
      await expect.poll(() => shareOfOne(5), { timeout: 20_000 }).toBeGreaterThan(0.3);
    } finally {
      running = false;
      await Promise.all(clients);
    }
  }, 60_000);
});
