/** Replicas of the router tell each other how targets do. */
import { common, type router } from "@weir/contracts";
import { type Simulator, startNats, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { boot, type Booted, configOf, model, provider, rawCall } from "./harness.ts";

const REPLICAS = 3;
let nats: Awaited<ReturnType<typeof startNats>>;
let simulator: Simulator;

beforeAll(async () => {
  nats = await startNats();
  simulator = await startSimulator();
});
afterAll(async () => {
  await simulator[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});
beforeEach(() => simulator.reset());

let run = 0;
/** Models of their own for each test: what is said of them stays in NATS for a while. */
async function replicas(clock?: { nowMs: () => number; monotonicMs: () => number }): Promise<Booted[]> {
  const name = `model-${++run}`;
  const config = configOf(
    [provider("one", "openai", { baseUrl: `${simulator.origin}/v1` })],
    [model("m", [`one/${name}`])],
  );
  const made: Booted[] = [];
  for (let at = 0; at < REPLICAS; at++) {
    made.push(await boot({ config, natsUrl: nats.url, ...(clock === undefined ? {} : { clock }) }));
  }
  return made;
}

const ask = (more: object = {}) =>
  rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "hello" }], ...more });
const eligible = async ({ client }: Booted): Promise<boolean> =>
  (await client.explainRoute({ model: "m" })).candidates[0]?.eligible === true;
const close = (all: readonly Booted[]) => Promise.all(all.map((one) => one[Symbol.asyncDispose]()));

it("a breaker that one opened is open on all, and closed again on all", async () => {
  let skewMs = 0;
  const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
  const all = await replicas(clock);
  try {
    const [first, second] = all as [Booted, Booted];
    simulator.script({ behaviour: { status: 500 } });
    // Told once NATS is there for everybody: then within milliseconds. Two attempts a call.
    for (let call = 0; call < 3; call++) await first.client.complete(ask());
    expect(await eligible(first)).toBe(false);
    const openedMs = performance.now();
    for (const one of all) await expect.poll(() => eligible(one), { timeout: 10_000 }).toBe(false);
    const tookMs = performance.now() - openedMs;
    process.stderr.write(`open on all replicas ${Math.round(tookMs)} ms after one opened it\n`);
    const calls = simulator.ledger.length;
    await second.client.complete(ask());
    expect(simulator.ledger).toHaveLength(calls);
    // The promise is a second; the bound is ten times that, and the machine may be busy.
    expect(tookMs).toBeLessThan(10_000);

    const opened = 'weir_breaker_changes_total{provider="one",state="open"} 1';
    expect(await first.renderMetrics()).toContain(opened);
    expect(await second.renderMetrics()).not.toContain(opened);

    simulator.reset();
    skewMs = 6_000;
    expect((await second.client.complete(ask())).result?.error).toBeUndefined();
    for (const one of all) await expect.poll(() => eligible(one), { timeout: 10_000 }).toBe(true);
    for (const state of ["half_open", "closed"])
      expect(await second.renderMetrics()).toContain(`weir_breaker_changes_total{provider="one",state="${state}"} 1`);
  } finally {
    await close(all);
  }
}, 60_000);

it("one request at a time probes, of all replicas together", async () => {
  let skewMs = 0;
  const clock = { nowMs: () => Date.now() + skewMs, monotonicMs: () => performance.now() + skewMs };
  const all = await replicas(clock);
  try {
    const [first] = all as [Booted];
    simulator.script({ behaviour: { status: 500 } });
    for (let call = 0; call < 3; call++) await first.client.complete(ask());
    for (const one of all) await expect.poll(() => eligible(one), { timeout: 10_000 }).toBe(false);
    const before = simulator.ledger.length;
    simulator.reset();
    simulator.script({ behaviour: { status: 500, delayMs: 400 } });
    skewMs = 6_000;
    await Promise.all(all.flatMap((one) => [one, one, one, one].map(({ client }) => client.complete(ask()))));
    // Forgotten by reset, so all there are.
    expect(before).toBeGreaterThan(0);
    expect(simulator.ledger).toHaveLength(1);
  } finally {
    await close(all);
  }
}, 60_000);

it("a stream that another replica runs is ended by whichever is asked, and tells its account", async () => {
  const all = await replicas();
  try {
    const [first, second, third] = all as [Booted, Booted, Booted];
    simulator.script({ behaviour: { words: 400, trickleMs: 20 } });
    const asked = ask({ stream: true });
    const { requestId } = asked.call as { requestId: string };
    const shown = Promise.withResolvers<void>();
    let end: router.StreamEnd | undefined;
    const reading = (async () => {
      for await (const { message } of first.client.streamComplete(asked)) {
        if (message.case === "frame") shown.resolve();
        if (message.case === "end") end = message.value;
      }
    })();
    await shown.promise;
    // NATS may be found only now.
    await expect.poll(async () => (await second.client.cancel({ requestId })).found, { timeout: 10_000 }).toBe(true);
    await reading;
    expect(end?.result?.error?.reason).toBe(common.ErrorReason.CLIENT_CLOSED);
    expect(end?.result?.usage?.outputTokens).toBeGreaterThan(0);
    await expect.poll(() => simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
    for (const one of [second, third]) expect((await one.client.cancel({ requestId })).found).toBe(false);
  } finally {
    await close(all);
  }
}, 60_000);

it("without NATS each finds out for itself, and nothing waits", async () => {
  const config = configOf([provider("one", "openai", { baseUrl: `${simulator.origin}/v1` })], [model("m", ["one/x"])]);
  await using weir = await boot({ config, natsUrl: "nats://127.0.0.1:1" });
  simulator.script({ behaviour: { status: 500 } });
  for (let call = 0; call < 3; call++) await weir.client.complete(ask());
  expect(await eligible(weir)).toBe(false);
});
