/** Whatever takes too long, the answer says what it was. */
import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { ProviderConfig } from "@weir/config";
import { common } from "@weir/contracts";
import { type Behaviour, type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { boot, collect, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
/** Takes connections and says nothing: a TLS handshake with it never ends. */
let silent: Server;
const sockets = new Set<Socket>();
beforeAll(async () => {
  simulator = await startSimulator();
  silent = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  }).listen(0, "127.0.0.1");
  await once(silent, "listening");
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  silent.close();
  await simulator[Symbol.asyncDispose]();
});
beforeEach(() => simulator.reset());

const LONG_MS = 20_000;
interface Case {
  readonly what: string;
  readonly timeouts: Partial<ProviderConfig["timeouts"]>;
  readonly behaviour: Behaviour;
  readonly reason: common.ErrorReason;
  readonly says: string;
  /** Only streams fall silent in their middle. */
  readonly streamOnly?: boolean;
  readonly silent?: boolean;
  readonly callMs?: number;
}
const CASES: readonly Case[] = [
  {
    what: "connecting",
    timeouts: { connectMs: 200 },
    behaviour: {},
    silent: true,
    reason: common.ErrorReason.PROVIDER_UNREACHABLE,
    says: "too long to accept a connection",
  },
  {
    what: "the first byte",
    timeouts: { firstByteMs: 200 },
    behaviour: { delayMs: 3_000 },
    reason: common.ErrorReason.PROVIDER_TIMEOUT,
    says: "too long to answer",
  },
  {
    what: "the next byte",
    timeouts: { idleMs: 200 },
    behaviour: { words: 50, trickleMs: 1_000 },
    reason: common.ErrorReason.PROVIDER_TIMEOUT,
    says: "stopped in the middle",
    streamOnly: true,
  },
  {
    what: "the call's own time",
    timeouts: {},
    behaviour: { delayMs: 3_000 },
    callMs: 400,
    reason: common.ErrorReason.DEADLINE_EXCEEDED,
    says: "The time for this request is over",
  },
];

describe.each(CASES)(
  "$what",
  ({ timeouts, behaviour, reason, says, streamOnly = false, silent: mute = false, callMs }) => {
    it.each(streamOnly ? [true] : [false, true])("stream: %s", async (stream) => {
      simulator.script({ behaviour });
      const { port } = silent.address() as AddressInfo;
      const one = provider("one", "openai", {
        baseUrl: mute ? `https://127.0.0.1:${port}/v1` : `${simulator.origin}/v1`,
        timeouts: { connectMs: LONG_MS, firstByteMs: LONG_MS, idleMs: LONG_MS, slowMs: undefined, ...timeouts },
      });
      await using weir = await boot({ config: configOf([one], [model("m", ["one/m"])]) });
      const ask = rawCall("openai-chat", {
        model: "m",
        messages: [{ role: "user", content: "hello" }],
        ...(stream ? { stream } : {}),
      });
      const options = callMs === undefined ? {} : { timeoutMs: callMs };
      // A deadline that the router shaves, so that its own answer is there before its caller stops waiting.
      const result = stream
        ? (await collect(weir.client.streamComplete(ask, options))).end.result
        : (await weir.client.complete(ask, options)).result;
      expect(result?.error?.reason).toBe(reason);
      expect(result?.error?.message).toContain(says);
      expect(result?.attempts.length).toBeGreaterThan(0);
    });
  },
);
