import { readFileSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHttpClient } from "../src/index.ts";
import { ask } from "./raw.ts";

// A self-signed pair for `localhost`, made for this test and trusted by nothing else.
const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));
const ca = fixture("localhost.crt");

describe("over TLS", () => {
  const peers = new Set<number | undefined>();
  const server = https.createServer({ key: fixture("localhost.key"), cert: ca }, (request, response) => {
    peers.add(request.socket.remotePort);
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      for (let index = 0; index < 20; index++) response.write(Buffer.alloc(10_000, "y"));
      response.end(String(Buffer.concat(parts).length));
    });
  });
  let port = 0;
  beforeAll(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = (): string => `https://localhost:${port}`;

  it("keeps a connection and carries bodies of every size whole", async () => {
    await using client = createHttpClient(origin(), { maxConnections: 1, tls: { ca } });
    for (const size of [0, 10, 50_000, 3_000_000]) {
      const answer = await ask(client, { path: "/", body: Buffer.alloc(size, "z") });
      expect(answer.body.length).toBe(200_000 + String(size).length);
      expect(answer.body.slice(200_000)).toBe(String(size));
    }
    expect(peers.size).toBe(1);
  });

  it("does not speak to whom it cannot trust", async () => {
    await using client = createHttpClient(origin(), { maxConnections: 1 });
    await expect(ask(client, { path: "/" })).rejects.toMatchObject({ kind: "connect", sent: false });
    await using byAddress = createHttpClient(`https://127.0.0.1:${port}`, { maxConnections: 1, tls: { ca } });
    await expect(ask(byAddress, { path: "/" })).rejects.toMatchObject({ kind: "connect", sent: false });
  });

  it("ends at a deadline, in the middle of a handshake, too", async () => {
    const { createServer } = await import("node:net");
    const silent = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
    await once(silent, "listening");
    await using client = createHttpClient(`https://localhost:${(silent.address() as AddressInfo).port}`, {
      maxConnections: 1,
    });
    await expect(ask(client, { path: "/", connectMs: 100 })).rejects.toMatchObject({
      kind: "timeout-connect",
      sent: false,
    });
    silent.close();
  });
});
