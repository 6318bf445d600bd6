import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { router } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { networkPeers, type RunningServer, route, serveRoutes } from "@weir/mesh";
import { NO_RULES } from "@weir/rules";
import { expect, test } from "vitest";
import type { Call } from "../domain/call.ts";
import { routerUpstream } from "./router-upstream.ts";

const call: Call<never> = {
  requestId: "r",
  model: "m",
  input: { dialect: "openai-chat", body: Buffer.from("{}") },
  headers: [],
  rules: NO_RULES,
  outputCap: 0,
  statedCaps: [],
  keyId: "k",
  held: true,
  providerLimits: "none",
  tools: undefined,
  conversation: "",
  priority: 0,
  tags: {},
  toolCallCap: 0,
  workspace: "default",
  atMs: 1_000,
  inputBound: 1,
};

/** What calling a router at this port fails with, whole and streamed. */
async function failures(port: number, timeoutMs = 5_000): Promise<unknown[]> {
  await using peers = networkPeers({ addresses: () => `http://127.0.0.1:${port}` });
  const upstream = routerUpstream(peers.client(router.RouterService), "owner");
  const options = { signal: new AbortController().signal, timeoutMs, traceparent: undefined };
  const whole = upstream.complete(call, options).catch((error: unknown) => error);
  const streamed = (async () => {
    for await (const message of upstream.stream(call, options)) throw new Error(`got ${message.kind}`);
    throw new Error("ended");
  })().catch((error: unknown) => error);
  return await Promise.all([whole, streamed]);
}

async function listening(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("a router that is not there was never asked", async () => {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, "close");
  for (const failure of await failures(port)) {
    expect(failure).toMatchObject({ name: "UpstreamError", tried: false, error: { reason: "router_unavailable" } });
  }
});

test("a router that breaks off, or takes too long, may have called a provider by then", async () => {
  const breaking = createServer((socket) => void socket.once("data", () => socket.resetAndDestroy()));
  for (const failure of await failures(await listening(breaking))) {
    expect(failure).toMatchObject({ name: "UpstreamError", tried: true, error: { reason: "router_unavailable" } });
  }
  breaking.close();
  const silent = createServer((socket) => void socket.resume());
  for (const failure of await failures(await listening(silent), 50)) {
    expect(failure).toMatchObject({ name: "UpstreamError", tried: true, error: { reason: "deadline_exceeded" } });
  }
  silent.close();
});

test("what the router refuses before it calls anybody is passed on, and nothing was tried", async () => {
  const refuse = (): never => {
    throw new WeirError("model_not_found", "There is no such model.");
  };
  const routes = [
    route(router.RouterService, {
      complete: refuse,
      async *streamComplete() {
        yield await Promise.resolve().then(refuse);
      },
      embed: refuse,
      listModels: refuse,
      providerHealth: refuse,
      explainRoute: refuse,
      countInput: refuse,
      cancel: refuse,
    }),
  ];
  await using server: RunningServer = await serveRoutes(routes, { listen: { host: "127.0.0.1", port: 0 } });
  for (const failure of await failures(server.port)) {
    expect(failure).toMatchObject({ tried: false, error: { reason: "model_not_found" } });
  }
});
