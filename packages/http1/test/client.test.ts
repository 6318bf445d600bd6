import http from "node:http";
import net from "node:net";
import { once } from "node:events";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { createHttpClient, type HttpClient, HttpClientError, type HttpClientErrorKind } from "../src/index.ts";
import { ask, clientFor, echo, patient, sleep, start } from "./raw.ts";

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A server that plays a script with each connection's socket. */
async function scripted(play: (socket: net.Socket, count: number) => void): Promise<number> {
  let count = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    play(socket, count++);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return (server.address() as net.AddressInfo).port;
}

/** Answers every request head with the given bytes. */
const answering = (bytes: string, then: (socket: net.Socket) => void = () => undefined): Promise<number> =>
  scripted((socket) => {
    socket.on("data", () => {
      socket.write(Buffer.from(bytes, "latin1"));
      then(socket);
    });
  });

async function nodeServer(handler: http.RequestListener): Promise<number> {
  const server = http.createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close() {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as net.AddressInfo).port;
}

function client(port: number, maxConnections = 8, more: object = {}): HttpClient {
  const made = createHttpClient(`http://127.0.0.1:${port}`, { maxConnections, ...more });
  open.push({ close: () => made[Symbol.asyncDispose]() });
  return made;
}

const failing = (kind: HttpClientErrorKind, sent: boolean): unknown =>
  expect.objectContaining({ name: "HttpClientError", kind, sent });

describe("node:http's server", () => {
  it("is understood: lengths, chunks, keep-alive, HEAD, 204, errors", async () => {
    const peers = new Set<number | undefined>();
    const port = await nodeServer((request, response) => {
      peers.add(request.socket.remotePort);
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const length = Buffer.concat(parts).length;
        if (request.url === "/204") response.writeHead(204).end();
        else if (request.url === "/chunks") {
          response.write("a".repeat(100_000));
          setTimeout(() => response.end("b"), 10);
        } else
          response.writeHead(request.url === "/500" ? 500 : 200, { "X-Kind": "k" }).end(`${request.method} ${length}`);
      });
    });
    const one = client(port, 1);
    expect(await ask(one, { path: "/" })).toMatchObject({ status: 200, body: "GET 0" });
    expect(await ask(one, { path: "/", body: Buffer.alloc(400_000) })).toMatchObject({ body: "POST 400000" });
    expect((await ask(one, { path: "/chunks" })).body).toBe(`${"a".repeat(100_000)}b`);
    const head = await ask(one, { path: "/", method: "HEAD" });
    expect([head.status, head.body, head.header("x-kind")]).toEqual([200, "", "k"]);
    expect(await ask(one, { path: "/204" })).toMatchObject({ status: 204, body: "" });
    expect(await ask(one, { path: "/500", method: "DELETE" })).toMatchObject({ status: 500, body: "DELETE 0" });
    expect(peers.size).toBe(1);
    const many = await Promise.all(Array.from({ length: 50 }, () => ask(one, { path: "/" })));
    expect(many.every((answer) => answer.status === 200)).toBe(true);
    expect(one.connections).toBe(1);
  });
});

describe("responses", () => {
  it("without a length end with the connection", async () => {
    const port = await answering("HTTP/1.1 200 OK\r\n\r\nall of it", (socket) => socket.end());
    expect((await ask(client(port), { path: "/" })).body).toBe("all of it");
  });

  it("may be announced", async () => {
    const port = await answering(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    const one = client(port, 1);
    expect((await ask(one, { path: "/" })).body).toBe("ok");
    expect((await ask(one, { path: "/" })).body).toBe("ok");
  });

  it.each([
    ["bytes after a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX"],
    ["bytes after the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"],
    ["a body where none may be", "HTTP/1.1 204 No Content\r\n\r\nX"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    ["both framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok"],
    ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n"],
    ["a fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
    ["a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    ["a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
    ["endless headers", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(70_000)}`],
  ])("with %s are an error", async (_name, bytes) => {
    const port = await answering(bytes);
    const one = client(port);
    await expect(ask(one, { path: "/" })).rejects.toEqual(failing("protocol", true));
    expect(one.connections).toBe(0);
  });

  it("that are cut short are an error", async () => {
    for (const bytes of [
      "",
      "HTTP/1.1 20",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
    ]) {
      const port = await answering(bytes, (socket) => socket.end());
      await expect(ask(client(port), { path: "/" })).rejects.toEqual(failing("reset", true));
    }
  });

  it("are the same for every way of cutting, and any bytes end in an answer or an error", async () => {
    let next: readonly Buffer[] = [];
    const port = await scripted((socket) => {
      socket.on("data", () => {
        const play = async (): Promise<void> => {
          for (const piece of next) {
            socket.write(piece);
            await new Promise((resolve) => setImmediate(resolve));
          }
          socket.end();
        };
        void play();
      });
    });
    const whole =
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nt: v\r\n\r\n";
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(whole.length), { maxLength: 8 }),
        fc.option(fc.tuple(fc.nat(whole.length - 1), fc.nat(255))),
        async (cuts, flip) => {
          // A flipped "close" would leave a connection that is about to go.
          await using one = clientFor(port, 1);
          const bytes = Buffer.from(whole);
          if (flip !== null) bytes[flip[0]] = flip[1];
          const marks = [...new Set([0, ...cuts, whole.length])].sort((a, b) => a - b);
          next = marks.slice(1).map((mark, index) => bytes.subarray(marks[index], mark));
          const outcome = await ask(one, { path: "/" }).catch((error: unknown) => error);
          if (flip === null) expect(outcome).toMatchObject({ status: 200, body: "hello!" });
          else if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HttpClientError);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("connections", () => {
  it("that cannot be made say so, and that nothing was sent", async () => {
    const port = await scripted(() => undefined);
    for (const one of open.splice(0)) one.close();
    await expect(ask(client(port), { path: "/" })).rejects.toEqual(failing("connect", false));
    const nowhere = createHttpClient("http://weir.invalid", {
      maxConnections: 1,
      lookup: (_host, _options, callback) => callback(new Error("refused by the lookup"), ""),
    });
    await expect(ask(nowhere, { path: "/" })).rejects.toEqual(failing("connect", false));
  });

  it("queue beyond the cap, in order, to a bound", async () => {
    const port = await nodeServer((request, response) => setTimeout(() => response.end(request.url), 20));
    const one = client(port, 2, { maxQueued: 3 });
    const all = await Promise.allSettled(["a", "b", "c", "d", "e", "f"].map((name) => ask(one, { path: `/${name}` })));
    expect(all.map((result) => result.status)).toEqual([...Array<string>(5).fill("fulfilled"), "rejected"]);
    expect(all[5]).toMatchObject({ reason: failing("too-many", false) });
    expect(one.connections).toBe(2);
  });

  it("that the server closed while idle are not used", async () => {
    const port = await nodeServer((_request, response) => response.end("x"));
    const peers = client(port, 4);
    await ask(peers, { path: "/" });
    expect(peers.connections).toBe(1);
    const closing = await scripted((socket) => {
      socket.on("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        setTimeout(() => socket.end(), 10);
      });
    });
    const one = client(closing);
    await ask(one, { path: "/" });
    await expect.poll(() => one.connections).toBe(0);
    expect((await ask(one, { path: "/" })).body).toBe("x");
  });

  it("that speak without being asked are dropped", async () => {
    const port = await answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", (socket) =>
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\n\r\n"), 10),
    );
    const one = client(port);
    await ask(one, { path: "/" });
    await expect.poll(() => one.connections).toBe(0);
  });

  it("age out, sooner where the server says so", async () => {
    const port = await answering("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 1\r\n\r\nx");
    const one = client(port);
    await ask(one, { path: "/" });
    await expect.poll(() => one.connections).toBe(0);
    const other = client(await answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), 8, { idleTimeoutMs: 60 });
    await ask(other, { path: "/" });
    await expect.poll(() => other.connections).toBe(0);
  });

  /** Answers the first request of a connection and closes at the second; counts the requests. */
  const dyingAtSecond = async (): Promise<{ port: number; seen: () => number }> => {
    let seen = 0;
    const port = await scripted((socket, count) => {
      let mine = 0;
      socket.on("data", () => {
        seen++;
        if (++mine === 1 || count > 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        else socket.destroy();
      });
    });
    return { port, seen: () => seen };
  };

  it("that turn out stale cost an error, or one repetition where that was allowed", async () => {
    const strict = await dyingAtSecond();
    const one = client(strict.port);
    await ask(one, { path: "/", body: Buffer.from("1") });
    await expect(ask(one, { path: "/", body: Buffer.from("2") })).rejects.toEqual(failing("reset", true));
    expect(strict.seen()).toBe(2);
    const lenient = await dyingAtSecond();
    const two = client(lenient.port);
    await ask(two, { path: "/", body: Buffer.from("1") });
    expect((await ask(two, { path: "/", body: Buffer.from("2"), retryStale: true })).body).toBe("x");
    expect(lenient.seen()).toBe(3);
  });

  it("that are new are never retried", async () => {
    let seen = 0;
    const port = await scripted((socket) => socket.on("data", () => ++seen && socket.destroy()));
    await expect(ask(client(port), { path: "/", retryStale: true })).rejects.toEqual(failing("reset", true));
    expect(seen).toBe(1);
  });

  it("are not used again if the answer came before the request was read", async () => {
    const port = await scripted((socket) => {
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 1\r\n\r\nx");
      });
    });
    const one = client(port);
    expect((await ask(one, { path: "/", body: Buffer.alloc(30_000_000) })).status).toBe(413);
    expect(one.connections).toBe(0);
  });
});

describe("time", () => {
  it("is limited for the first byte and between bytes, and waiting for a connection counts", async () => {
    const silent = client(await scripted(() => undefined), 1);
    const first = ask(silent, { path: "/", firstByteMs: 150 });
    const queued = ask(silent, { path: "/", connectMs: 60 });
    await expect(queued).rejects.toEqual(failing("timeout-connect", false));
    await expect(first).rejects.toEqual(failing("timeout-first-byte", true));
    const stuck = client(await answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"));
    await expect(ask(stuck, { path: "/", idleMs: 100 })).rejects.toEqual(failing("timeout-idle", true));
    expect(stuck.connections).toBe(0);
  });

  it("does not end a response that goes on slowly", async () => {
    const port = await nodeServer((_request, response) => {
      let left = 8;
      const timer = setInterval(() => {
        response.write("x");
        if (--left === 0) {
          clearInterval(timer);
          response.end();
        }
      }, 60);
    });
    expect((await ask(client(port), { path: "/", idleMs: 300, firstByteMs: 300 })).body).toBe("xxxxxxxx");
  });
});

describe("callers", () => {
  it("may cancel at any time: waiting, reading, by signal", async () => {
    const port = await answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    const one = client(port, 1);
    const aborted = AbortSignal.abort();
    await expect(ask(one, { path: "/", signal: aborted })).rejects.toEqual(failing("cancelled", false));
    const controller = new AbortController();
    const reading = ask(one, { path: "/", signal: controller.signal });
    const waiting = ask(one, { path: "/", signal: controller.signal });
    await sleep(30);
    controller.abort();
    await expect(reading).rejects.toEqual(failing("cancelled", true));
    await expect(waiting).rejects.toEqual(failing("cancelled", false));
    expect(one.connections).toBe(0);
    const events: string[] = [];
    const exchange = one.request(
      { method: "GET", path: "/", headers: "", ...patient },
      {
        head: () => exchange.cancel(),
        data: () => events.push("data"),
        end: () => events.push("end"),
        error: (error) => events.push(error.kind),
      },
    );
    await expect.poll(() => events).toEqual(["cancelled"]);
    exchange.cancel();
    expect(events).toEqual(["cancelled"]);
  });

  it("may stop the flow", async () => {
    let written = 0;
    const port = await nodeServer((_request, response) => {
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        while (written < 40_000_000) {
          written += chunk.length;
          if (!response.write(chunk)) {
            response.once("drain", more);
            return;
          }
        }
        response.end();
      };
      more();
    });
    let received = 0;
    let ended = false;
    const exchange = client(port).request(
      { method: "GET", path: "/", headers: "", ...patient, idleMs: 1000 },
      {
        head: () => exchange.pause(),
        data: (chunk) => {
          received += chunk.length;
        },
        end: () => {
          ended = true;
        },
        error: (error) => {
          throw error;
        },
      },
    );
    // Longer than the idle limit, which does not count meanwhile.
    await sleep(1500);
    expect(received).toBeLessThan(200_000);
    expect(written).toBeLessThan(30_000_000);
    exchange.resume();
    await expect.poll(() => ended, { timeout: 10_000 }).toBe(true);
    expect(received).toBe(written);
  });

  it("get an error for what was under way when the client is disposed", async () => {
    const port = await scripted(() => undefined);
    const one = client(port, 1);
    const first = ask(one, { path: "/" });
    const second = ask(one, { path: "/" });
    const both = Promise.allSettled([first, second]);
    await sleep(30);
    await one[Symbol.asyncDispose]();
    expect(await both).toMatchObject([{ reason: failing("reset", true) }, { reason: failing("connect", false) }]);
    await expect(ask(one, { path: "/" })).rejects.toEqual(failing("connect", false));
  });
});

it("talks to our server at length", async () => {
  await using server = await start(echo);
  const one = clientFor(server.port, 16);
  const sizes = Array.from({ length: 400 }, (_, index) => (index * 7919) % 150_000);
  const answers = await Promise.all(sizes.map((size) => ask(one, { path: `/p?${size}`, body: Buffer.alloc(size) })));
  expect(answers.map((answer) => answer.body.split(" ").slice(0, 4).join(" "))).toEqual(
    sizes.map((size) => `POST /p ${size} [${size}]`),
  );
  await one[Symbol.asyncDispose]();
});
