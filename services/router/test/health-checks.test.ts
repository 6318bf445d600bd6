/** Providers that are asked whether they are there, before any request is. */
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Simulator, startSimulator } from "@weir/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { boot, type Booted, configOf, model, provider, rawCall } from "./harness.ts";

let simulator: Simulator;
/** What the first provider's health is asked at. */
let front: Server;
let checks: { method: string; url: string; authorization: string | undefined }[] = [];
let status = 200;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator[Symbol.asyncDispose]());
beforeEach(async () => {
  simulator.reset();
  checks = [];
  status = 200;
  front = createServer((request, response) => {
    if (request.method === "GET") {
      const { method = "", url = "", headers } = request;
      checks.push({ method, url, authorization: headers.authorization });
      response.writeHead(status).end("x");
      return;
    }
    // All else is the provider's.
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void fetch(simulator.origin + (request.url ?? ""), { method: "POST", body: Buffer.concat(chunks) }).then(
        async (answer) =>
          response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text()),
      );
    });
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
});
afterEach(async () => {
  front.closeAllConnections();
  front.close();
  await once(front, "close");
});

async function started(): Promise<Booted> {
  const { port } = front.address() as AddressInfo;
  const providers = [
    provider("one", "openai", {
      baseUrl: `http://127.0.0.1:${port}/v1`,
      healthCheck: { path: "/healthy", intervalMs: 50 },
    }),
    provider("two", "openai", { baseUrl: `${simulator.origin}/v1` }),
  ];
  const weir = await boot({ config: configOf(providers, [model("m", ["one/m-one", "two/m-two"])]) });
  await weir.router.start?.();
  return weir;
}
const servedBy = async (weir: Booted): Promise<string | undefined> => {
  const call = rawCall("openai-chat", { model: "m", messages: [{ role: "user", content: "hello" }] });
  return (await weir.client.complete(call)).result?.served?.provider;
};

it("two failures in a row open the breakers, so that no request finds out; a success lets one probe at once", async () => {
  await using weir = await started();
  expect(await servedBy(weir)).toBe("one");
  await expect.poll(() => checks.length).toBeGreaterThan(1);
  expect(checks[0]).toEqual({ method: "GET", url: "/healthy", authorization: undefined });
  status = 503;
  await expect.poll(() => servedBy(weir)).toBe("two");
  const asked = simulator.ledger.filter((entry) => entry.model === "m-one").length;
  const seen = checks.length;
  // Left alone for as long as it is found so, not for the breaker's five seconds only.
  await expect.poll(() => checks.length).toBeGreaterThan(seen + 5);
  expect(await servedBy(weir)).toBe("two");
  expect(simulator.ledger.filter((entry) => entry.model === "m-one")).toHaveLength(asked);
  status = 401;
  await expect.poll(() => servedBy(weir)).toBe("one");
});

it("checks end with the router", async () => {
  const weir = await started();
  await expect.poll(() => checks.length).toBeGreaterThan(0);
  await weir[Symbol.asyncDispose]();
  const last = checks.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(checks.length - last).toBeLessThanOrEqual(1);
});
