/** A peer that moves to another machine under the same name: what was its machine says nothing any more, and closes no connection. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { router } from "@weir/contracts";
import { createHttpClient } from "@weir/http1";
import { afterEach, expect, test } from "vitest";
import { networkPeers, type Route, serveRoutes } from "../src/index.ts";
import { Pulse } from "../src/pulse.ts";

const open: (() => unknown)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function start(name: string, host: string, port = 0): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(new URL("./replica-server.ts", import.meta.url), [name, String(port), host], { execArgv: [] });
  open.push(() => child.kill("SIGKILL"));
  const [found] = (await once(child, "message")) as [number];
  return { child, port: found };
}

// Of all systems Linux alone has more of 127.0.0.0/8 than its first address.
test.skipIf(process.platform !== "linux")(
  "is found where its name leads now; calls that run on its old place end, and none of those that follow goes there",
  async () => {
    const old = await start("slow", "127.0.0.1");
    await start("new", "127.0.0.2", old.port);
    let address = "127.0.0.1";
    const peers = networkPeers({
      addresses: () => `http://router.test:${old.port}`,
      lookup: (_name, _options, told) => told(null, [{ address, family: 4 }]),
    });
    open.push(() => peers[Symbol.asyncDispose]());
    const client = peers.client(router.RouterService);
    const version = async (): Promise<string> =>
      (await client.listModels({}, { timeoutMs: 500 }).catch(() => ({ version: "" }))).version;
    // Several connections, which lie idle then.
    expect(await Promise.all(Array.from({ length: 8 }, version))).toEqual(Array.from({ length: 8 }, () => "slow"));
    const running = client.complete({}).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 100));
    old.child.kill("SIGSTOP");
    address = "127.0.0.2";
    const movedMs = performance.now();
    await expect.poll(version, { timeout: 20_000 }).toBe("new");
    // With as many dead connections as there were idle ones, each would have cost a call its time.
    expect(await Promise.all(Array.from({ length: 8 }, version))).toEqual(Array.from({ length: 8 }, () => "new"));
    process.stderr.write(`found again after ${Math.round(performance.now() - movedMs)} ms\n`);
    // The new one answers for the name, so that it is not silent; what the old one was asked ends with its own deadline.
    old.child.kill("SIGKILL");
    const failed = await running;
    expect(failed instanceof ConnectError ? failed.code : undefined).toBe(Code.Unavailable);
  },
  60_000,
);

test("one that is silent for good ends the calls that it carries", async () => {
  const { child, port } = await start("slow", "127.0.0.1");
  const peers = networkPeers({ addresses: () => `http://127.0.0.1:${port}` });
  open.push(() => peers[Symbol.asyncDispose]());
  const running = peers
    .client(router.RouterService)
    .complete({})
    .catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGSTOP");
  const failed = await running;
  expect(failed instanceof ConnectError ? failed.code : undefined).toBe(Code.Unavailable);
}, 120_000);

test("one whose every connection carries a call is not silent", async () => {
  const implementation = { complete: () => new Promise(() => undefined) };
  const routes = [{ service: router.RouterService, implementation }] as unknown as Route[];
  await using server = await serveRoutes(routes, { listen: { host: "127.0.0.1", port: 0 } });
  const origin = `http://127.0.0.1:${server.port}`;
  await using http = createHttpClient(origin, { maxConnections: 1 });
  const running = {
    method: "POST",
    path: "/weir.router.v1.RouterService/Complete",
    connectMs: 0,
    firstByteMs: 0,
    idleMs: 0,
  };
  let failed: unknown;
  const sink = { head: () => undefined, data: () => undefined, end: () => undefined };
  http.request(
    { ...running, headers: "content-type: application/proto\r\n", body: new Uint8Array(0) },
    { ...sink, error: (error) => (failed = error) },
  );
  const { promise: heard, resolve } = Promise.withResolvers<string>();
  const events = { answered: () => resolve("answered"), silent: () => resolve("silent") };
  await using pulse = new Pulse(http, createHttpClient(origin, { maxConnections: 1 }), events);
  expect(pulse).toBeDefined();
  expect(await heard).toBe("answered");
  expect(failed).toBeUndefined();
}, 30_000);
