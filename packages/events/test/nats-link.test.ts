/** A server that dies while a client is just greeting it closes the connection before the greeting is over: nothing answers, and nothing says so. */
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { NatsLink } from "../src/nats-link.ts";
import { natsServer } from "./nats-server.ts";

it("finds NATS again soon where the first connection was cut in the middle of its greeting", async () => {
  const nats = await natsServer();
  await nats.start();
  const target = Number(new URL(nats.url).port);
  let connections = 0;
  const door = net.createServer((socket) => {
    connections += 1;
    const behind = net.connect(target, "127.0.0.1");
    socket.on("error", () => behind.destroy());
    behind.on("error", () => socket.destroy());
    if (connections > 1) {
      socket.pipe(behind).pipe(socket);
      return;
    }
    behind.once("data", (greeting) => {
      socket.write(greeting);
      behind.destroy();
      socket.once("data", () => socket.destroy());
    });
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  const link = new NatsLink(`nats://127.0.0.1:${(door.address() as AddressInfo).port}`);
  try {
    const startedMs = performance.now();
    await link.found();
    expect(link.connected()).toBeDefined();
    expect(connections).toBe(2);
    // By itself the library waits 20 s.
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  } finally {
    await link.close();
    door.close();
    await nats[Symbol.asyncDispose]();
  }
}, 60_000);
