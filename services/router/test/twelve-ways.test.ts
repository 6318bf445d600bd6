/** Three providers, one of which fails in each of the ways that providers have: nobody notices. */
import { createServer } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { common } from "@weir/contracts";
import { type Behaviour, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { boot, type Booted, collect, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());

const TIMEOUTS = { connectMs: 5_000, firstByteMs: 1_500, idleMs: 1_500, slowMs: undefined };
const NAMES = ["one", "two", "three"] as const;
const REQUESTS = 12;

/** Undefined: nothing listens there. */
const WAYS: Readonly<Record<string, Behaviour | undefined>> = {
  refused: undefined,
  reset: { refuse: true },
  hang: { delayMs: 20_000 },
  slow: { delayMs: 100 },
  "500": { status: 500 },
  "503": { status: 503 },
  "529": { status: 529, code: "overloaded_error" },
  "429 with Retry-After": { status: 429, code: "rate_limit_exceeded", retryAfterS: 5 },
  "429 without Retry-After": { status: 429, code: "rate_limit_exceeded" },
  "an exhausted quota": { status: 429, code: "insufficient_quota" },
  garbage: { malformed: true },
  "a stream cut before its first token": { cutAfterEvents: 0 },
};

async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}/v1`;
}

async function withFailing(way: string, failing: string, use: (weir: Booted) => Promise<void>): Promise<void> {
  const behaviour = WAYS[way];
  const nowhere = await freeAddress();
  simulator.reset();
  if (behaviour !== undefined) simulator.script({ model: `m-${failing}`, behaviour });
  const providers = NAMES.map((name) =>
    provider(name, "openai", {
      baseUrl: behaviour === undefined && name === failing ? nowhere : `${simulator.origin}/v1`,
      timeouts: TIMEOUTS,
    }),
  );
  const models = [
    model(
      "m",
      NAMES.map((name) => `${name}/m-${name}`),
      { strategies: ["round-robin"] },
    ),
  ];
  await using weir = await boot({ config: configOf(providers, models) });
  await use(weir);
}

const ask = (stream: boolean) =>
  rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "hello" }], ...(stream ? { stream } : {}) });

describe.each(Object.keys(WAYS))("%s", (way) => {
  test.each(NAMES)("of provider %s: every request is answered by another", async (failing) => {
    await withFailing(way, failing, async (weir) => {
      const wholes = Array.from({ length: REQUESTS }, () => weir.client.complete(ask(false)));
      const streams = Array.from({ length: REQUESTS }, () => collect(weir.client.streamComplete(ask(true))));
      for (const { result, output } of await Promise.all(wholes)) {
        expect(result?.error).toBeUndefined();
        expect(output.value).toMatchObject({ status: 200 });
        if (way !== "slow" && way !== "a stream cut before its first token")
          expect(result?.served?.provider).not.toBe(failing);
      }
      for (const { terminal, end, text } of await Promise.all(streams)) {
        if (way === "garbage" && end.result?.served?.provider === failing) {
          // Its client saw its first words before.
          expect(end.result.error?.reason).toBe(common.ErrorReason.PROVIDER_BAD_RESPONSE);
          expect(text).not.toContain("[DONE]");
          continue;
        }
        expect(end.result?.error).toBeUndefined();
        expect(terminal).toContain("[DONE]");
      }
    });
  });
});

test.each(NAMES)(
  "a stream of provider %s that is cut after its first token is not begun anew, and ends in an error",
  async (failing) => {
    simulator.reset();
    simulator.script({ model: `m-${failing}`, behaviour: { cutAfterEvents: 3, words: 20 } });
    const providers = NAMES.map((name) => provider(name, "openai", { baseUrl: `${simulator.origin}/v1` }));
    const order = [failing, ...NAMES.filter((name) => name !== failing)];
    const models = [
      model(
        "m",
        order.map((name) => `${name}/m-${name}`),
      ),
    ];
    await using weir = await boot({ config: configOf(providers, models) });
    const { terminal, text, end } = await collect(weir.client.streamComplete(ask(true)));
    expect(simulator.ledger.map((entry) => entry.model)).toEqual([`m-${failing}`]);
    expect(end.result?.error).toBeDefined();
    expect(text + terminal).not.toContain("[DONE]");
    expect(terminal).toContain("error");
  },
);

const PRICED = {
  price: { inputNanosPerMtok: 1_000_000_000n, outputNanosPerMtok: 2_000_000_000n, requestNanos: 0n } as never,
  contextWindow: 100_000,
  maxOutputTokens: 1_000,
};

test.each<[string, Behaviour, boolean]>([
  ["500", { status: 500 }, false],
  ["503, streams", { status: 503 }, true],
  ["reset", { refuse: true }, false],
  ["garbage", { malformed: true }, false],
  ["cut before the first token, streams", { cutAfterEvents: 0 }, true],
  ["429", { status: 429, code: "rate_limit_exceeded" }, false],
  ["an exhausted quota", { status: 429, code: "insufficient_quota" }, false],
])(
  "everything failing (%s), attempts stay within 1.2 for each request and ten for each target, each with a hold of its own",
  async (way, behaviour, stream) => {
    const requests = 1_000;
    simulator.reset();
    simulator.script({ behaviour });
    const providers = NAMES.map((name) => provider(name, "openai", { baseUrl: `${simulator.origin}/v1` }));
    const targets = NAMES.map((name) => `${name}/m-${name}`);
    // Breakers and pauses end in between: what was left alone is tried again and again.
    let laterMs = 0;
    const clock = { nowMs: () => Date.now() + laterMs, monotonicMs: () => performance.now() + laterMs };
    await using weir = await boot({ config: configOf(providers, [model("m", targets, PRICED)]), clock });
    const held = { holdOwner: "ingress/1", holdKeyId: "key-1", inputBound: 100, outputCap: 100 };
    let further = 0;
    const send = async (): Promise<void> => {
      const { call } = ask(stream);
      const asked = { call: { ...call, ...held } };
      const result = stream
        ? (await collect(weir.client.streamComplete(asked))).end.result
        : (await weir.client.complete(asked)).result;
      const numbers = result?.attempts.map(({ attempt }) => attempt) ?? [];
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
      further += Math.max(0, numbers.length - 1);
    };
    for (let sent = 0; sent < requests; sent += 10) {
      await Promise.all(Array.from({ length: 10 }, send));
      laterMs += 5_000;
    }
    process.stderr.write(`${way}: ${simulator.ledger.length} attempts for ${requests} requests\n`);
    expect(simulator.ledger.length).toBeLessThanOrEqual(1.2 * requests + 10 * NAMES.length);
    // The first attempt of each is held when it is admitted.
    expect(weir.extensions).toHaveLength(further);
    expect(weir.extensions.every(({ attempt, costNanos }) => attempt > 1 && costNanos > 0n)).toBe(true);
  },
  60_000,
);

test("an exhausted quota is not asked again: not by the same request, and not by those after it", async () => {
  simulator.reset();
  simulator.script({ behaviour: { status: 429, code: "insufficient_quota" } });
  const one = provider("one", "openai", { baseUrl: `${simulator.origin}/v1` });
  await using weir = await boot({ config: configOf([one], [model("m", ["one/m-one", "one/m-two"])]) });
  for (let call = 0; call < 5; call++) await weir.client.complete(ask(false));
  // The account has nothing left, whatever its model: each of the two was asked once, by requests of their own.
  expect(simulator.ledger.map((entry) => entry.model)).toEqual(["m-one", "m-two"]);
});

test.each([
  ["400", { status: 400 }],
  ["401", { status: 401 }],
  ["403", { status: 403 }],
  ["404", { status: 404 }],
  ["413", { status: 413 }],
  ["422", { status: 422 }],
] as const)("a %s is never retried", async (_, behaviour) => {
  simulator.reset();
  simulator.script({ behaviour });
  const providers = NAMES.map((name) => provider(name, "openai", { baseUrl: `${simulator.origin}/v1` }));
  const models = [
    model(
      "m",
      NAMES.map((name) => `${name}/m-${name}`),
    ),
  ];
  await using weir = await boot({ config: configOf(providers, models) });
  for (let call = 0; call < 5; call++) await weir.client.complete(ask(false));
  expect(simulator.ledger).toHaveLength(5);
});
