import http from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createHttpClient, type HttpHandler, type HttpReply, serveHttp } from "../src/index.ts";
import { ask, clientFor, echo, exchange, plainRefusal, Raw, sleep, start } from "./raw.ts";

const GET = "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

describe("one request after the other", () => {
  it("keeps the connection, and answers what is pipelined in order", async () => {
    await using server = await start((request, reply) => {
      if (request.path === "/slow") setTimeout(() => reply.send(200, "", "slow"), 30);
      else echo(request, reply);
    });
    const heard = await exchange(server.port, `GET /slow HTTP/1.1\r\nHost: x\r\n\r\n${GET}\r\n${GET}${LAST}`);
    expect(heard.match(/slow|GET \/\w+/g)).toEqual(["slow", "GET /a", "GET /a", "GET /last"]);
    expect(heard.match(/connection: close/g)).toHaveLength(1);
    expect(heard).toMatch(/date: \w{3}, \d\d \w{3} \d{4} /);
  });

  it("handles ten thousand pipelined requests in one piece", async () => {
    await using server = await start((_request, reply) => reply.send(204, "", ""));
    const heard = await exchange(server.port, GET.repeat(10_000) + LAST);
    expect(heard.match(/HTTP\/1\.1 204/g)).toHaveLength(10_001);
  });

  it("gives the same answers for every way of cutting a stream of requests", async () => {
    await using server = await start(echo);
    const body = fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n", "0"), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(body, fc.boolean()), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(400), { maxLength: 6 }),
        async (bodies, cuts) => {
          const text = bodies
            .map(([value, chunked]) => {
              const half = value.length >> 1;
              const chunks = [value.slice(0, half), value.slice(half)].filter((chunk) => chunk !== "");
              return chunked
                ? `POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join("")}0\r\n\r\n`
                : `POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: ${value.length}\r\n\r\n${value}`;
            })
            .join("");
          const raw = await Raw.connect(server.port);
          const all = text + LAST;
          let from = 0;
          for (const cut of [...cuts.map((at) => at % all.length).sort((a, b) => a - b), all.length]) {
            if (cut > from) raw.say(all.slice(from, cut));
            from = Math.max(from, cut);
            await new Promise((resolve) => setImmediate(resolve));
          }
          const heard = await raw.whole();
          const expected = [
            ...bodies.map(([value, chunked]) => `POST ${chunked ? "/c" : "/l"}  [${value.length}] ${value}`),
            "GET /last  [0] ",
          ];
          expect(heard.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r]+\r\n)+\r\n/).slice(1)).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("survives any bytes: each connection is answered or closed, none hangs, and the server goes on", async () => {
    await using server = await start(echo, { headTimeoutMs: 150, requestTimeoutMs: 150 });
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
      fc.constantFrom(
        GET,
        "POST / HTTP/1.1\r\nHost: x\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n",
        "\r\n\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 6 }), async (pieces) => {
        const raw = await Raw.connect(server.port);
        for (const part of pieces) raw.say(part);
        raw.say(" \0");
        const heard = await raw.whole();
        expect(heard).toMatch(/^(?:HTTP\/1\.1 200[^]*)*HTTP\/1\.1 (?:400|408|413|417|431|501|505) /);
      }),
      { numRuns: 60 },
    );
    expect((await ask(clientFor(server.port), { path: "/after" })).status).toBe(200);
  });
});

describe("bodies", () => {
  it("refuses a large one before reading it", async () => {
    await using server = await start(echo, { maxBodyBytes: 10 });
    const heard = await exchange(server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    expect(heard).toMatch(/^HTTP\/1\.1 413 .*body_too_large/s);
    const chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n";
    expect(await exchange(server.port, chunked)).toMatch(/^HTTP\/1\.1 413 /);
    const fits = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n1234567890";
    expect(await exchange(server.port, fits)).toContain("[10]");
  });

  it("holds no more of all bodies together than it may, and tells so before it reads one", async () => {
    const held: HttpReply[] = [];
    const handler: HttpHandler = (_request, reply) => void held.push(reply);
    await using server = await start(handler, { maxBufferedBytes: 100, maxBodyBytes: 80 });
    const post = (body: string, announced = body.length): string =>
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${announced}\r\n\r\n${body}`;
    const first = await Raw.connect(server.port);
    first.say(post("x".repeat(60)));
    await expect.poll(() => held.length).toBe(1);
    expect(server.bufferedBytes).toBe(60);
    // Refused by its announcement: not a byte of it was sent.
    const refused = await exchange(server.port, post("", 41));
    expect(refused).toMatch(/^HTTP\/1\.1 503 .*overloaded/s);
    expect(await exchange(server.port, post("", 81))).toMatch(/^HTTP\/1\.1 413 /);
    // What is announced and not sent takes no room; who comes too late with it is refused then.
    const slow = await Raw.connect(server.port);
    slow.say(post("y".repeat(10), 40));
    await expect.poll(() => server.bufferedBytes).toBe(70);
    const second = await Raw.connect(server.port);
    second.say(post("z".repeat(30)));
    await expect.poll(() => held.length).toBe(2);
    slow.say("y");
    expect(await slow.whole()).toMatch(/^HTTP\/1\.1 503 /);
    const chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n12345678901234567890\r\n";
    expect(await exchange(server.port, chunked)).toMatch(/^HTTP\/1\.1 503 /);
    expect(server.bufferedBytes).toBe(90);
    // Answered, or its client gone: there is room again.
    held[0]?.send(200, "", "");
    await expect.poll(() => server.bufferedBytes).toBe(30);
    second.socket.destroy();
    await expect.poll(() => server.bufferedBytes).toBe(0);
    const last = await Raw.connect(server.port);
    last.say(post("x".repeat(80)));
    await expect.poll(() => held.length).toBe(3);
    held[2]?.send(200, "connection: close\r\n", "ok");
    await last.until((raw) => raw.heard.includes("ok"));
    expect(server.bufferedBytes).toBe(0);
    expect(server.inFlight).toBe(0);
  });

  it("gives head and body one time together, however slowly they come", async () => {
    await using server = await start(echo, { headTimeoutMs: 2_000, requestTimeoutMs: 800 });
    // Neither takes as long as both may.
    const raw = await Raw.connect(server.port);
    raw.say("POST / HTTP/1.1\r\nHost: x\r\n");
    await sleep(700);
    raw.say("Content-Length: 2\r\n\r\n1");
    await sleep(700);
    raw.say("2");
    expect(await raw.whole()).toMatch(/^HTTP\/1\.1 408 /);
    // Byte by byte, for ever.
    for (const text of [GET.slice(0, 10), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"]) {
      const dripping = await Raw.connect(server.port);
      dripping.say(text);
      for (let turn = 0; turn < 500 && dripping.heard === ""; turn++) {
        dripping.say("x");
        await sleep(10);
      }
      expect(await dripping.whole()).toMatch(/^HTTP\/1\.1 408 /);
    }
    expect(server.inFlight).toBe(0);
    expect(server.bufferedBytes).toBe(0);
  });

  it("refuses whom the head tells not to be wanted, and neither reads nor asks for their bodies", async () => {
    let handled = 0;
    const counting: HttpHandler = (request, reply) => {
      handled += 1;
      echo(request, reply);
    };
    await using server = await start(counting, {
      checkHead: (head) =>
        head.header("x-key") === "right" || (!head.chunked && head.contentLength < 6)
          ? undefined
          : { status: 401, headers: "content-type: text/plain\r\n", body: `no ${head.path}` },
    });
    const large = "Content-Length: 20000000\r\n";
    for (const fields of [large, `${large}Expect: 100-continue\r\n`, "Transfer-Encoding: chunked\r\n"]) {
      const heard = await exchange(server.port, `POST /a HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
      expect(heard, fields).toMatch(/^HTTP\/1\.1 401 .*connection: close.*no \/a$/s);
    }
    // Also behind a good one, and with a body that is on its way already.
    const good = "POST /b HTTP/1.1\r\nHost: x\r\nX-Key: right\r\nContent-Length: 7\r\n\r\n1234567";
    const bad = `POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nGET / H`;
    expect(await exchange(server.port, good + bad)).toMatch(/\[7\] 1234567HTTP\/1\.1 401 .*no \/c$/s);
    expect(handled).toBe(1);
    expect(server.inFlight).toBe(0);
  });

  it("asks for a body that waits to be asked for", async () => {
    await using server = await start(echo, { maxBodyBytes: 10 });
    const raw = await Raw.connect(server.port);
    raw.say("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\n");
    await raw.until((one) => one.heard === "HTTP/1.1 100 Continue\r\n\r\n");
    raw.say("12345");
    expect(await raw.whole()).toContain("[5] 12345");
    const large = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n";
    expect(await exchange(server.port, large)).toMatch(/^HTTP\/1\.1 413 /);
    const strange = "POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n";
    expect(await exchange(server.port, strange)).toMatch(/^HTTP\/1\.1 417 /);
  });

  it("keeps each valid after later ones have come", async () => {
    const bodies: Buffer[] = [];
    await using server = await start((request, reply) => {
      bodies.push(request.body);
      reply.send(204, "", "");
    });
    await using client = clientFor(server.port, 1);
    for (let index = 0; index < 20; index++)
      await ask(client, { path: "/", body: Buffer.alloc(100 + index * 9000, index) });
    for (const [index, body] of bodies.entries())
      expect(body.equals(Buffer.alloc(100 + index * 9000, index))).toBe(true);
  });
});

describe("answers", () => {
  const withReply = (play: (reply: HttpReply) => void) => start((_request, reply) => play(reply));

  it("sends no body where there must be none", async () => {
    await using server = await start((request, reply) => {
      if (request.path === "/stream") {
        reply.start(200, "");
        reply.write("abc");
        reply.end();
      } else reply.send(request.path === "/304" ? 304 : 200, "", "body");
    });
    const head = (path: string): string => `HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const heard = await exchange(
      server.port,
      `${head("/")}${head("/stream")}GET /304 HTTP/1.1\r\nHost: x\r\n\r\n${LAST}`,
    );
    expect(heard.match(/body|abc|0\r\n\r\n|content-length: 4/g)).toEqual([
      "content-length: 4",
      "content-length: 4",
      "body",
    ]);
  });

  it("ends a stream for HTTP/1.0 with the connection", async () => {
    await using server = await withReply((reply) => {
      reply.start(200, "content-type: a/b\r\n");
      reply.write("one ");
      reply.end("two");
    });
    const heard = await exchange(server.port, "GET / HTTP/1.0\r\n\r\n");
    expect(heard).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-type: a\/b\r\ndate: [^\r]+\r\nconnection: close\r\n\r\none two$/,
    );
  });

  it("puts what is written in one tick into one chunk", async () => {
    await using server = await withReply((reply) => {
      reply.start(200, "");
      reply.write("a");
      reply.write(Buffer.from("b"));
      reply.write("");
      setTimeout(() => reply.end("c"), 20);
    });
    const heard = await exchange(server.port, LAST);
    expect(heard.slice(heard.indexOf("\r\n\r\n") + 4)).toBe("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  });

  it("tells of a handler's bug with a 500, and cuts a stream that had begun", async () => {
    const errors: unknown[] = [];
    await using server = await start(
      (request, reply) => {
        if (request.path === "/late") reply.start(200, "");
        throw new RangeError("a bug");
      },
      { onHandlerError: (error) => errors.push(error) },
    );
    await using client = clientFor(server.port);
    expect(await ask(client, { path: "/" })).toMatchObject({ status: 500, body: "internal: internal error" });
    await expect(ask(client, { path: "/late" })).rejects.toMatchObject({ kind: "reset" });
    expect(errors).toHaveLength(2);
  });

  it("refuses to answer twice", async () => {
    let thrown: unknown;
    await using server = await withReply((reply) => {
      reply.send(200, "", "once");
      try {
        reply.send(200, "", "twice");
      } catch (error) {
        thrown = error;
      }
    });
    expect(await exchange(server.port, LAST)).toMatch(/once$/);
    expect(thrown).toBeInstanceOf(TypeError);
  });

  it("carries large bodies and streams whole, waiting for the client where it must", async () => {
    const chunk = Buffer.alloc(50_000, "x");
    let waits = 0;
    await using server = await start((request, reply) => {
      if (request.path === "/body") return reply.send(200, "", Buffer.alloc(5_000_000, "y"));
      const play = async (): Promise<void> => {
        reply.start(200, "");
        for (let index = 0; index < 200; index++) {
          if (!reply.write(chunk)) {
            waits++;
            await reply.drained();
          }
        }
        reply.end();
      };
      void play();
    });
    await using client = clientFor(server.port);
    expect((await ask(client, { path: "/body" })).body.length).toBe(5_000_000);
    expect((await ask(client, { path: "/stream" })).body.length).toBe(10_000_000);
    expect(waits).toBeGreaterThan(0);
  });
});

describe("clients that go", () => {
  it("are noticed while they are owed an answer, once", async () => {
    const gone: string[] = [];
    await using server = await start((request, reply) => {
      if (request.path === "/stream") reply.start(200, "");
      reply.onClose(() => gone.push(`${request.path} ${reply.closed}`));
    });
    for (const path of ["/wait", "/stream"]) {
      const raw = await Raw.connect(server.port);
      raw.say(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await sleep(50);
      raw.socket.destroy();
    }
    const half = await Raw.connect(server.port);
    half.say("GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
    half.socket.end();
    await half.whole();
    await expect.poll(() => gone).toHaveLength(3);
    expect(gone).toEqual(expect.arrayContaining(["/wait true", "/stream true", "/half true"]));
    expect(server.inFlight).toBe(0);
  });

  it("are not reported once they have their answer, and writing to them is harmless", async () => {
    let reported = 0;
    const replies: HttpReply[] = [];
    await using server = await start((request, reply) => {
      reply.onClose(() => reported++);
      replies.push(reply);
      if (request.path === "/done") reply.send(200, "", "x");
      else reply.start(200, "");
    });
    const raw = await Raw.connect(server.port);
    raw.say("GET /done HTTP/1.1\r\nHost: x\r\n\r\nGET /open HTTP/1.1\r\nHost: x\r\n\r\n");
    await raw.until((one) => one.heard.includes("chunked"));
    raw.socket.destroy();
    await expect.poll(() => reported).toBe(1);
    const open = replies[1];
    expect(open?.write("x")).toBe(false);
    await open?.drained();
    open?.end();
    let late = 0;
    open?.onClose(() => late++);
    expect(late).toBe(1);
  });

  it("that take nothing are cut", async () => {
    let closed = false;
    await using server = await start(
      (_request, reply) => {
        reply.onClose(() => {
          closed = true;
        });
        const play = async (): Promise<void> => {
          reply.start(200, "");
          while (!reply.closed) if (!reply.write(Buffer.alloc(60_000))) await reply.drained();
        };
        void play();
      },
      { stalledMs: 200 },
    );
    const raw = await Raw.connect(server.port);
    raw.socket.pause();
    raw.say(GET);
    await expect.poll(() => closed, { timeout: 10_000 }).toBe(true);
  });
});

describe("time", () => {
  it("cuts a head and a body that come too slowly, and idle connections", async () => {
    await using server = await start(echo, { headTimeoutMs: 100, requestTimeoutMs: 100, idleTimeoutMs: 100 });
    expect(await exchange(server.port, "GET / HT")).toMatch(/^HTTP\/1\.1 408 /);
    expect(await exchange(server.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12")).toMatch(
      /^HTTP\/1\.1 408 /,
    );
    expect(await exchange(server.port, GET)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchange(server.port, "")).toBe("");
  });

  it("refuses a head that is too large, also one without end", async () => {
    await using server = await start(echo, { maxHeadBytes: 500 });
    expect(await exchange(server.port, `GET / HTTP/1.1\r\nX: ${"y".repeat(600)}`)).toMatch(
      /^HTTP\/1\.1 431 .*headers_too_large/s,
    );
    expect(await exchange(server.port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(600)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });

  it("takes no more connections than it may", async () => {
    await using server = await start(echo, { maxConnections: 2 });
    const kept = [await Raw.connect(server.port), await Raw.connect(server.port)];
    for (const raw of kept) raw.say(GET);
    for (const raw of kept) await raw.until((one) => one.heard.includes("200"));
    expect(await (await Raw.connect(server.port)).whole()).toBe("");
  });
});

describe("draining", () => {
  it("finishes what is in flight, tells everybody to go, and refuses the new", async () => {
    const server = await start((request, reply) => {
      if (request.path === "/slow") setTimeout(() => reply.send(200, "", "finished"), 150);
      else echo(request, reply);
    });
    const busy = await Raw.connect(server.port);
    busy.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    const idle = await Raw.connect(server.port);
    idle.say(GET);
    await idle.until((one) => one.heard.includes("200"));
    const closed = server.close(10_000);
    await expect(Raw.connect(server.port)).rejects.toThrow();
    idle.say("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await idle.whole()).toMatch(/connection: close\r\n[^]*GET \/again/);
    expect(await busy.whole()).toMatch(/connection: close\r\n[^]*finished$/);
    await closed;
    expect(server.inFlight).toBe(0);
  });

  it("cuts what is left at the deadline", async () => {
    const server = await start((_request, reply) => reply.start(200, ""));
    const raw = await Raw.connect(server.port);
    raw.say(GET);
    await raw.until((one) => one.heard.includes("200"));
    await server.close(50);
    expect(await raw.whole()).not.toContain("0\r\n\r\n");
  });
});

describe("places", () => {
  it("listens on a Unix socket, also one whose owner died, but not on one in use", async () => {
    const directory = await mkdtemp(join(tmpdir(), "weir-http1-"));
    const path = join(directory, "s");
    try {
      const orphan = net.createServer().listen(path);
      await sleep(20);
      // Closing would remove the file; a killed process leaves it.
      await expect(serveHttp(echo, { listen: { path }, onBadRequest: plainRefusal })).rejects.toThrow("EADDRINUSE");
      await new Promise((resolve) => orphan.close(resolve));
      const { execFileSync } = await import("node:child_process");
      const die = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
      expect(() => execFileSync(process.execPath, ["-e", die])).toThrow();
      await using server = await serveHttp(echo, { listen: { path }, onBadRequest: plainRefusal });
      expect(server.port).toBe(0);
      await using client = createHttpClient({ path }, { maxConnections: 1 });
      expect((await ask(client, { path: "/over/a/file" })).body).toContain("GET /over/a/file");
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("hands a connection over with every byte of it", async () => {
    const other = http.createServer((request, response) => response.end(`other ${request.url}`));
    await using server = await start(echo, {
      divert: (head) =>
        head?.path.startsWith("/other") === true
          ? (socket) => {
              other.emit("connection", socket);
              socket.resume();
            }
          : undefined,
    });
    const heard = await exchange(
      server.port,
      `${GET}GET /other/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /other/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(heard.match(/GET \/a|other \/other\/\d/g)).toEqual(["GET /a", "other /other/1", "other /other/2"]);
  });
});

describe("node:http's client", () => {
  it("is understood: keep-alive, chunked, large, HEAD", async () => {
    await using server = await start(echo);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const call = (method: string, body?: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const request = http.request(
          { port: server.port, host: "127.0.0.1", agent, method, path: "/n" },
          (response) => {
            let text = `${response.statusCode} `;
            response.setEncoding("latin1").on("data", (part: string) => {
              text += part;
            });
            response.on("end", () => resolve(text));
          },
        );
        request.on("error", reject);
        for (let at = 0; body !== undefined && at < body.length; at += 70_000)
          request.write(body.slice(at, at + 70_000));
        request.end();
      });
    expect(await call("GET")).toBe("200 GET /n  [0] ");
    expect(await call("POST", "z".repeat(1_000_000))).toBe("200 POST /n  [1000000] (long)");
    expect(await call("HEAD")).toBe("200 ");
    expect(await call("DELETE")).toBe("200 DELETE /n  [0] ");
    agent.destroy();
  });
});
