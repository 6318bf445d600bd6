import { Secret } from "@weir/kernel";
import { describe, expect, it } from "vitest";
import { serveRoutes } from "../src/index.ts";
import { routeOf } from "./peers.contract.ts";

const listen = { host: "127.0.0.1", port: 0 };
const token = new Secret("token-of-the-mesh");

describe("the health pages of an RPC port", () => {
  it("answer without a token, beside the services", async () => {
    let reason: string | undefined = "the database is away";
    const metrics = { renderMetrics: async () => "weir_test_total 1\n", contentType: "text/plain" };
    const health = { notReady: () => reason, metrics };
    await using server = await serveRoutes([routeOf({})], { listen, token, health });
    const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${server.port}${path}`);

    expect((await get("/healthz")).status).toBe(200);
    const away = await get("/readyz");
    expect([away.status, await away.json()]).toEqual([503, { status: "not ready", reasons: ["the database is away"] }]);
    reason = undefined;
    expect((await get("/readyz?from=a-load-balancer")).status).toBe(200);
    expect(await (await get("/metrics")).text()).toBe("weir_test_total 1\n");
    expect((await get("/other")).status).toBe(404);
    const post = await fetch(`http://127.0.0.1:${server.port}/healthz`, { method: "POST" });
    expect(post.status).toBe(404);
  });

  it("are not there where nobody asked for them, and a scrape that fails is no page of numbers", async () => {
    await using without = await serveRoutes([routeOf({})], { listen, token });
    expect((await fetch(`http://127.0.0.1:${without.port}/healthz`)).status).toBe(404);

    const errors: unknown[] = [];
    const metrics = { renderMetrics: () => Promise.reject(new Error("no")), contentType: "text/plain" };
    const health = { notReady: () => [], metrics, onError: (error: unknown) => errors.push(error) };
    await using failing = await serveRoutes([routeOf({})], { listen, token, health });
    expect((await fetch(`http://127.0.0.1:${failing.port}/metrics`)).status).toBe(500);
    expect(errors).toHaveLength(1);
  });
});
