/** A server that dies while a client greets it, or says what no client understands, is found again all the same, and soon. */
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { NatsLink } from "../src/nats-link.ts";
import { type NatsServer, natsServer } from "./nats-server.ts";

let nats: NatsServer;
beforeAll(async () => {
  nats = await natsServer();
  await nats.start();
});
afterAll(() => nats[Symbol.asyncDispose]());

type Behaviour = (socket: Socket, behind: Socket) => void;

const through: Behaviour = (socket, behind) => void socket.pipe(behind).pipe(socket);
const cutInGreeting: Behaviour = (socket, behind) => {
  behind.once("data", (greeting) => {
    socket.write(greeting);
    behind.destroy();
    socket.once("data", () => socket.destroy());
  });
};
const says =
  (text: string): Behaviour =>
  (socket, behind) => {
    behind.once("data", (greeting) => {
      socket.write(greeting);
      behind.destroy();
      socket.once("data", () => socket.end(text));
    });
  };

/** A door to NATS whose connections behave as told, one after the other; those that follow get through. */
async function door(behaviours: readonly Behaviour[]) {
  const open = new Set<Socket>();
  let connections = 0;
  const server = net.createServer((socket) => {
    const behind = net.connect(Number(new URL(nats.url).port), "127.0.0.1");
    open.add(socket);
    socket.on("error", () => behind.destroy()).on("close", () => behind.destroy());
    behind.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    (behaviours[connections] ?? through)(socket, behind);
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    cut: () => open.forEach((socket) => socket.destroy()),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

it("at the first connection, cut in the middle of its greeting", async () => {
  await using way = await door([cutInGreeting]);
  const link = new NatsLink(way.url);
  const startedMs = performance.now();
  await link.found();
  expect(way.connections()).toBe(2);
  // By itself the library waits 20 s.
  expect(performance.now() - startedMs).toBeLessThan(15_000);
  await link.close();
}, 60_000);

it.each([
  ["cut in its greeting", cutInGreeting],
  ["answered with an error", says("-ERR 'Authorization Violation'\r\n")],
  ["answered with what is no NATS", says("HTTP/1.1 400 Bad Request\r\n\r\n")],
])(
  "at a later connection, %s",
  async (_name, behaviour) => {
    await using way = await door([through, behaviour, behaviour]);
    const link = new NatsLink(way.url);
    await link.found();
    way.cut();
    const isUp = (): boolean => {
      try {
        return link.connected() !== undefined;
      } catch {
        return false;
      }
    };
    await expect.poll(() => way.connections(), { timeout: 30_000 }).toBeGreaterThan(3);
    await expect.poll(isUp, { timeout: 30_000 }).toBe(true);
    await link.close();
  },
  90_000,
);
