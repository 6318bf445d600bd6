import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { common, router } from "@weir/contracts";
import { type Simulator, startSimulator } from "@weir/testkit";
import { boot, type Booted, collect, configOf, model, provider, rawCall } from "./harness.ts";

const { ErrorReason } = common;
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

async function bootPair(): Promise<Booted> {
  const baseUrl = `${simulator.origin}/v1`;
  const providers = [provider("one", "openai", { baseUrl }), provider("two", "openai", { baseUrl })];
  weir = await boot({ config: configOf(providers, [model("pair", ["one/gpt-4o", "two/gpt-4o-mini"])]) });
  return weir;
}

const ask = (content = "one two three four five six seven eight") =>
  rawCall("openai-chat", {
    model: "pair",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content }],
  });

const contentOf = (text: string): string =>
  text
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice(6)) as { choices?: { delta?: { content?: string } }[] })
    .map(({ choices }) => choices?.[0]?.delta?.content ?? "")
    .join("");

describe("a stream that breaks", () => {
  it("before its first content is tried elsewhere, and the client sees one whole answer", async () => {
    await bootPair();
    for (const behaviour of [
      { cutAfterEvents: 0 },
      { cutAfterEvents: 1 },
      { errorAfterEvents: 0 },
      { errorAfterEvents: 1 },
      { status: 500 },
      { refuse: true },
      { raw: "<html>", contentType: "text/html" },
    ]) {
      simulator.reset();
      simulator.script({ model: "gpt-4o", behaviour });
      const { text, start, end, terminal } = await collect(weir.client.streamComplete(ask()));
      expect(simulator.ledger.map((entry) => entry.model)).toEqual(["gpt-4o", "gpt-4o-mini"]);
      expect(contentOf(text)).toBe("You said: one two three four five six seven eight");
      expect(start?.served).toMatchObject({ provider: "two", attempt: 2 });
      expect(start?.failedAttempts).toHaveLength(1);
      expect(end.result?.attempts).toHaveLength(2);
      expect(terminal).toBe("data: [DONE]\n\n");
      // Five failures in a row would open the breaker, which is tested elsewhere.
      await weir[Symbol.asyncDispose]();
      await bootPair();
    }
  });

  it("after its first content ends in an error, never in [DONE], at whatever event it is cut", async () => {
    await bootPair();
    const { text: whole } = await collect(weir.client.streamComplete(ask()));
    const events = whole.split("\n\n").length - 1;
    for (let cut = 2; cut < events; cut += 1) {
      simulator.reset();
      simulator.script({ behaviour: { cutAfterEvents: cut } });
      await weir[Symbol.asyncDispose]();
      await bootPair();
      const { text, terminal, end } = await collect(weir.client.streamComplete(ask()));
      expect(simulator.ledger).toHaveLength(1);
      expect(text).not.toContain("[DONE]");
      expect(whole.startsWith(text.slice(0, text.length - terminal.length))).toBe(true);
      expect(text.slice(0, -terminal.length).split("\n\n")).toHaveLength(cut + 1);
      expect(terminal).toContain("stream_interrupted");
      expect(end.result?.error?.reason).toBe(ErrorReason.STREAM_INTERRUPTED);
      const [attempt] = end.result?.attempts ?? [];
      expect(attempt).toMatchObject({ billing: router.Billing.CHARGED, usage: { outputTokens: expect.any(Number) } });
      expect(attempt?.costNanos).toBeGreaterThan(0n);
    }
  });

  it("by an error of the provider's shows that error, and no retry", async () => {
    await bootPair();
    simulator.script({ behaviour: { errorAfterEvents: 4, text: "overloaded right now" } });
    const { terminal, text, end } = await collect(weir.client.streamComplete(ask()));
    expect(terminal).toContain("overloaded right now");
    expect(text).not.toContain("[DONE]");
    expect(end.result?.error).toBeDefined();
    expect(simulator.ledger).toHaveLength(1);
  });

  it("falls silent: it is cut by the idle timeout", async () => {
    const timeouts = { connectMs: 1_000, firstByteMs: 2_000, idleMs: 150, slowMs: undefined };
    const slow = provider("one", "openai", { baseUrl: `${simulator.origin}/v1`, timeouts });
    weir = await boot({ config: configOf([slow], [model("pair", ["one/gpt-4o"])]) });
    simulator.script({ behaviour: { trickleMs: 1_000 } });
    const { end } = await collect(weir.client.streamComplete(ask()));
    expect(end.result?.error?.reason).toBe(ErrorReason.PROVIDER_TIMEOUT);
  });
});

describe("a client that leaves", () => {
  const until = async (check: () => boolean): Promise<void> => {
    for (let waited = 0; !check() && waited < 5_000; waited += 5) await new Promise((done) => setTimeout(done, 5));
  };

  it("stops the provider within 250 ms", async () => {
    await bootPair();
    simulator.script({ behaviour: { trickleMs: 20, words: 1_000 } });
    const leaving = new AbortController();
    let events = 0;
    let leftAtMs = 0;
    const consume = async (): Promise<void> => {
      for await (const { message } of weir.client.streamComplete(ask(), { signal: leaving.signal })) {
        events += message.case === "frame" ? 1 : 0;
        if (events === 5) {
          leftAtMs = Date.now();
          leaving.abort();
        }
      }
    };
    await expect(consume()).rejects.toThrow();
    await until(() => simulator.ledger[0]?.cancelledAtMs !== 0);
    const [entry] = simulator.ledger;
    expect(entry?.cancelledAtMs).toBeGreaterThan(0);
    expect((entry?.cancelledAtMs ?? 0) - leftAtMs).toBeLessThan(250);
    expect((await weir.client.providerHealth({})).providers[0]).toMatchObject({ inFlight: 0, failed: 0n });
  });

  it("stops it also by just not reading on", async () => {
    await bootPair();
    simulator.script({ behaviour: { trickleMs: 20, words: 1_000 } });
    for await (const { message } of weir.client.streamComplete(ask())) if (message.case === "frame") break;
    await until(() => (simulator.ledger[0]?.cancelledAtMs ?? 0) > 0);
    expect(simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
  });

  it("stops it while it has not answered yet, whole answers too", async () => {
    await bootPair();
    simulator.script({ behaviour: { delayMs: 3_000 } });
    const leaving = new AbortController();
    const call = weir.client.complete(ask(), { signal: leaving.signal });
    await until(() => simulator.ledger.length === 1);
    leaving.abort();
    await expect(call).rejects.toThrow();
    await until(() => (simulator.ledger[0]?.cancelledAtMs ?? 0) > 0);
    expect(simulator.ledger[0]?.cancelledAtMs).toBeGreaterThan(0);
    expect(simulator.ledger).toHaveLength(1);
  });

  it("makes the provider wait when it is slow", async () => {
    await bootPair();
    const words = 60_000;
    simulator.script({ behaviour: { words } });
    const stream = weir.client.streamComplete(ask())[Symbol.asyncIterator]();
    await stream.next();
    await new Promise((done) => setTimeout(done, 1_500));
    const sent = simulator.ledger[0]?.eventsSent ?? 0;
    // The rest is still with the provider: here are 256 KiB and what sockets hold.
    expect(sent).toBeLessThan(words);
    let last: router.StreamCompleteResponse["message"] | undefined;
    for (let step = await stream.next(); step.done !== true; step = await stream.next()) last = step.value.message;
    expect(last?.case === "end" ? last.value.result?.usage?.outputTokens : undefined).toBe(words);
  });
});
