import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { router } from "@weir/contracts";
import { Secret } from "@weir/kernel";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fromConnectError,
  networkPeers,
  type RunningServer,
  serveRoutes,
  type ServedCall,
  type ServeOptions,
} from "../src/index.ts";
import { call, type Implementation, routeOf } from "./peers.contract.ts";

const proto = new URL("../../../proto", import.meta.url).pathname;
const thirdParty = new URL("../../../third_party/protovalidate", import.meta.url).pathname;

const serve = (implementation: Implementation, options: Partial<ServeOptions> = {}): Promise<RunningServer> =>
  serveRoutes([routeOf(implementation)], { listen: { host: "127.0.0.1", port: 0 }, ...options });

const clientOf = (port: number, token?: Secret) => networkPeers({ addresses: () => `http://127.0.0.1:${port}`, token });
const baseUrl = (server: RunningServer): string => `http://127.0.0.1:${server.port}`;
const code = (expected: Code): unknown =>
  expect.toSatisfy((error: unknown) => error instanceof ConnectError && error.code === expected);
const frames = (count: number, everyMs: number): NonNullable<Implementation["streamComplete"]> =>
  async function* () {
    for (let index = 0; index < count; index++) {
      yield { message: { case: "frame" as const, value: Buffer.from(`f${index}`) } };
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };

describe("the mesh token", () => {
  const right = new Secret("right-token-of-the-mesh");

  it("is asked for on every path, but not by services that are exempt", async () => {
    const implementation: Implementation = { listModels: () => ({ version: "in" }), streamComplete: frames(1, 0) };
    await using server = await serve(implementation, { token: right });
    const others = [
      createClient(
        router.RouterService,
        createConnectTransport({ baseUrl: baseUrl(server), httpVersion: "1.1", useBinaryFormat: false }),
      ),
      createClient(router.RouterService, createGrpcTransport({ baseUrl: baseUrl(server) })),
    ];
    for (const token of [undefined, new Secret("wrong-token-of-the-mesh"), new Secret("right-token-of-the-mes")]) {
      await using peers = clientOf(server.port, token);
      const client = peers.client(router.RouterService);
      await expect(client.listModels({})).rejects.toEqual(code(Code.Unauthenticated));
      await expect(client.streamComplete({ call })[Symbol.asyncIterator]().next()).rejects.toEqual(
        code(Code.Unauthenticated),
      );
      const headers = token === undefined ? {} : { "x-weir-mesh-token": token.reveal() };
      for (const other of others)
        await expect(other.listModels({}, { headers })).rejects.toEqual(code(Code.Unauthenticated));
    }
    await using peers = clientOf(server.port, right);
    expect((await peers.client(router.RouterService).listModels({})).version).toBe("in");
    for (const other of others) {
      expect((await other.listModels({}, { headers: { "x-weir-mesh-token": right.reveal() } })).version).toBe("in");
    }
    await using open = await serve(implementation, { token: right, exempt: [router.RouterService] });
    await using strangers = clientOf(open.port);
    expect((await strangers.client(router.RouterService).listModels({})).version).toBe("in");
  });
});

it("refuses who has no mesh token before a byte of a message was sent, on a stream, too", async () => {
  await using server = await serve(
    { complete: () => ({}), streamComplete: frames(2, 0) },
    { token: new Secret("the-token") },
  );
  for (const [method, type] of [
    ["Complete", "application/proto"],
    ["StreamComplete", "application/connect+proto"],
  ]) {
    for (const token of ["", "x-weir-mesh-token: wrong\r\n"]) {
      const socket = net.connect(server.port, "127.0.0.1");
      socket.write(
        `POST /weir.router.v1.RouterService/${method} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\n${token}content-length: 20000000\r\n\r\n`,
      );
      const [heard] = (await once(socket, "data")) as [Buffer];
      expect(heard.toString()).toMatch(/^HTTP\/1\.1 401 [^]*unauthenticated/);
      socket.destroy();
    }
  }
});

describe("without a mesh token", () => {
  it("nothing is served beyond this machine but what authenticates its callers by itself", async () => {
    const beyond = { host: "0.0.0.0", port: 0 };
    await expect(serve({}, { listen: beyond })).rejects.toThrow("WEIR_MESH_TOKEN");
    await using exempt = await serve({}, { listen: beyond, exempt: [router.RouterService] });
    await using guarded = await serve({}, { listen: beyond, token: new Secret("token-of-the-mesh") });
    await using near = await serve({}, { listen: { host: "localhost", port: 0 } });
    for (const { port } of [exempt, guarded, near]) expect(port).toBeGreaterThan(0);
  });
});

describe("the rules of the contract", () => {
  it("are enforced on both paths where that is asked for", async () => {
    const implementation: Implementation = { complete: () => ({}), streamComplete: frames(1, 0) };
    await using server = await serve(implementation, { validate: [router.RouterService] });
    await using peers = clientOf(server.port);
    const json = createConnectTransport({ baseUrl: baseUrl(server), httpVersion: "1.1", useBinaryFormat: false });
    for (const client of [peers.client(router.RouterService), createClient(router.RouterService, json)]) {
      const error = await client
        .complete({ call: { requestId: "no uuid", model: "m" } })
        .catch((caught: unknown) => caught);
      expect(error).toEqual(code(Code.InvalidArgument));
      expect(fromConnectError(error)).toMatchObject({ reason: "invalid_request", param: "call.request_id" });
      await expect(client.complete({})).rejects.toEqual(code(Code.InvalidArgument));
      await expect(client.streamComplete({ call: {} })[Symbol.asyncIterator]().next()).rejects.toEqual(
        code(Code.InvalidArgument),
      );
      const input = { case: "raw" as const, value: { dialect: 1 } };
      expect((await client.complete({ call: { ...call, input } })).$typeName).toBe("weir.router.v1.CompleteResponse");
    }
  });
});

describe("hooks", () => {
  it("hear of every call on every path, with what went wrong", async () => {
    const heard: ServedCall[] = [];
    await using server = await serve(
      {
        listModels: () => ({}),
        complete: () => {
          throw new RangeError("the cause");
        },
        streamComplete: frames(3, 0),
      },
      { hooks: { onServed: (served) => heard.push(served) } },
    );
    await using peers = clientOf(server.port);
    const transport = createGrpcTransport({ baseUrl: baseUrl(server) });
    for (const client of [peers.client(router.RouterService), createClient(router.RouterService, transport)]) {
      heard.length = 0;
      await client.listModels({});
      await client.complete({ call }).catch(() => undefined);
      for await (const message of client.streamComplete({ call })) expect(message.message.case).toBe("frame");
      await expect.poll(() => heard.length).toBe(3);
      expect(heard.map((served) => [served.method.name, served.error?.code])).toEqual([
        ["ListModels", undefined],
        ["Complete", Code.Internal],
        ["StreamComplete", undefined],
      ]);
      expect(heard[1]?.error?.cause).toEqual(new RangeError("the cause"));
    }
  });
});

describe("@grpc/grpc-js", () => {
  it("calls, streams, is refused and stops", async () => {
    let stopped = false;
    await using server = await serve({
      listModels: () => ({ version: "7" }),
      complete: () => {
        throw new ConnectError("nothing there", Code.NotFound);
      },
      async *streamComplete(_request, context) {
        context.signal.addEventListener("abort", () => {
          stopped = true;
        });
        yield* frames(1000, 5)(create(router.StreamCompleteRequestSchema), context);
      },
    });
    const definition = loader.loadSync("weir/router/v1/router.proto", {
      includeDirs: [proto, thirdParty],
      keepCase: false,
    });
    const Service = grpc.makeGenericClientConstructor(
      definition["weir.router.v1.RouterService"] as unknown as grpc.ServiceDefinition,
      "RouterService",
    );
    const client = new Service(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
    const unary = (method: string, request: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        (client[method] as (request: object, done: (error: Error | null, answer: unknown) => void) => void)(
          request,
          (error, answer) => (error === null ? resolve(answer) : reject(error)),
        );
      });
    expect(await unary("listModels", {})).toMatchObject({ version: "7" });
    await expect(unary("complete", { call })).rejects.toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: "nothing there",
    });
    const stream = (client["streamComplete"] as (request: object) => grpc.ClientReadableStream<{ frame: Buffer }>)({
      call,
    });
    const got: string[] = [];
    await new Promise<void>((resolve, reject) => {
      stream.on("data", (message: { frame: Buffer }) => {
        got.push(message.frame.toString());
        if (got.length === 5) stream.cancel();
      });
      stream.on("error", (error: grpc.ServiceError) =>
        error.code === grpc.status.CANCELLED ? resolve() : reject(error),
      );
    });
    expect(got.slice(0, 5)).toEqual(["f0", "f1", "f2", "f3", "f4"]);
    await expect.poll(() => stopped).toBe(true);
    client.close();
  });
});

describe("the end of a server", () => {
  it("is waited for: what is in flight is finished, on both paths", async () => {
    const server = await serve({
      listModels: async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return { version: "late" };
      },
      streamComplete: frames(20, 10),
    });
    const peers = clientOf(server.port);
    const ours = peers.client(router.RouterService);
    const theirs = createClient(router.RouterService, createGrpcTransport({ baseUrl: baseUrl(server) }));
    const count = async (client: typeof theirs): Promise<number> => {
      let got = 0;
      for await (const message of client.streamComplete({ call })) if (message.message.case === "frame") got++;
      return got;
    };
    const all = Promise.all([ours.listModels({}), theirs.listModels({}), count(ours), count(theirs)]);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const closed = server.close(10_000);
    expect(await all).toMatchObject([{ version: "late" }, { version: "late" }, 20, 20]);
    await closed;
    await expect(ours.listModels({})).rejects.toEqual(code(Code.Unavailable));
    await peers[Symbol.asyncDispose]();
  });

  it("says that it is not ready, and waits no longer than its peers need to let go of it", async () => {
    const server = await serve({ listModels: () => ({ version: "1" }) }, { health: { notReady: () => undefined } });
    await using peers = clientOf(server.port);
    await Promise.all(Array.from({ length: 8 }, () => peers.client(router.RouterService).listModels({})));
    const socket = net.connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    const closed = server.close(60_000);
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.write("GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*connection: close[\s\S]*shutting down/);
    await closed;
  });

  it("at its deadline ends what goes on, and the clients know", async () => {
    const server = await serve({
      listModels: () => new Promise<never>(() => undefined),
      streamComplete: frames(10_000, 5),
    });
    await using peers = clientOf(server.port);
    const client = peers.client(router.RouterService);
    const stream = client.streamComplete({ call })[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    const unary = expect(client.listModels({})).rejects.toEqual(code(Code.Unavailable));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close(100);
    await unary;
    const drain = async (): Promise<void> => {
      while ((await stream.next()).done !== true);
    };
    await expect(drain()).rejects.toEqual(code(Code.Unavailable));
  });

  it("by a kill is `unavailable` to its clients, and its successor serves them", async () => {
    const start = async (port: number): Promise<{ port: number; kill: () => void }> => {
      const child = fork(new URL("./killed-server.ts", import.meta.url), [String(port)], { execArgv: [] });
      const listening = await new Promise<number>((resolve) =>
        child.once("message", (message) => resolve(Number(message))),
      );
      return { port: listening, kill: () => child.kill("SIGKILL") };
    };
    const first = await start(0);
    await using peers = clientOf(first.port);
    const client = peers.client(router.RouterService);
    expect((await client.listModels({})).version).toBe("alive");
    const stream = client.streamComplete({ call })[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    const rest = (async () => {
      while ((await stream.next()).done !== true);
    })();
    first.kill();
    await expect(rest).rejects.toEqual(code(Code.Unavailable));
    await expect(client.listModels({})).rejects.toEqual(code(Code.Unavailable));
    const second = await start(first.port);
    expect((await client.listModels({})).version).toBe("alive");
    second.kill();
  });
});

describe("the wire", () => {
  const request = toBinary(router.StreamCompleteRequestSchema, create(router.StreamCompleteRequestSchema, { call }));
  const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);

  const talk = (port: number, bytes: Buffer): Promise<string> =>
    new Promise((resolve, reject) => {
      let heard = "";
      const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
      socket.setTimeout(10_000, () => reject(new Error(`hangs after ${JSON.stringify(heard)}`)));
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString("latin1");
      });
      socket.on("error", () => undefined);
      socket.on("close", () => {
        socket.setTimeout(0);
        resolve(heard);
      });
    });

  const post = (path: string, type: string, body: Buffer, more = ""): Buffer =>
    Buffer.concat([
      Buffer.from(
        `POST /weir.router.v1.RouterService/${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}\r\n${more}content-length: ${body.length}\r\n\r\n`,
      ),
      body,
    ]);

  it("carries any bytes to an answer or an error, never to a crash or a wait", async () => {
    await using server = await serve({ complete: () => ({}), streamComplete: frames(2, 0) });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
          fc.tuple(fc.nat(envelope.length - 1), fc.nat(255)).map(([at, value]) => {
            const bytes = Buffer.from(envelope);
            bytes[at] = value;
            return bytes;
          }),
          fc.nat(envelope.length).map((length) => envelope.subarray(0, length)),
        ),
        fc.boolean(),
        async (body, stream) => {
          const bytes = stream
            ? post("StreamComplete", "application/connect+proto", body)
            : post("Complete", "application/proto", body);
          expect(await talk(server.port, bytes)).toMatch(/^HTTP\/1\.1 (?:200|400) /);
        },
      ),
      { numRuns: 150 },
    );
    await using peers = clientOf(server.port);
    expect((await peers.client(router.RouterService).complete({ call })).$typeName).toBe(
      "weir.router.v1.CompleteResponse",
    );
  });

  it("survives HTTP/2 that is none", async () => {
    await using server = await serve({ complete: () => ({}) });
    const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.nat(preface.length), async (bytes, kept) => {
        const socket = net.connect(server.port, "127.0.0.1");
        socket.on("error", () => undefined);
        await new Promise<void>((resolve) =>
          socket.write(Buffer.concat([preface.subarray(0, kept), bytes]), () => resolve()),
        );
        await new Promise((resolve) => setTimeout(resolve, 3));
        socket.destroy();
      }),
      { numRuns: 100 },
    );
    const client = createClient(router.RouterService, createGrpcTransport({ baseUrl: baseUrl(server) }));
    expect((await client.complete({ call })).$typeName).toBe("weir.router.v1.CompleteResponse");
  });

  it("refuses what is malformed with the protocol's own errors", async () => {
    await using server = await serve({ complete: () => ({}), streamComplete: frames(1, 0) }, { maxMessageBytes: 1000 });
    const timeout = await talk(
      server.port,
      post("Complete", "application/proto", Buffer.alloc(0), "connect-timeout-ms: soon\r\n"),
    );
    expect(timeout).toMatch(/^HTTP\/1\.1 400 [^]*invalid_argument/);
    expect(await talk(server.port, post("Complete", "application/proto", Buffer.alloc(2000)))).toMatch(
      /^HTTP\/1\.1 413 [^]*resource_exhausted/,
    );
    expect(await talk(server.port, post("Complete", "text/plain", Buffer.alloc(0)))).toMatch(/^HTTP\/1\.1 415 /);
    expect(await talk(server.port, post("Nothing", "application/proto", Buffer.alloc(0)))).toMatch(/^HTTP\/1\.1 404 /);
    const two = await talk(
      server.port,
      post("StreamComplete", "application/connect+proto", Buffer.concat([envelope, envelope])),
    );
    expect(two).toContain("invalid_argument");
    expect(await talk(server.port, Buffer.from("GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"))).toMatch(
      /^HTTP\/1\.1 400 /,
    );
  });

  it("is understood by our client however the stream is cut, and any bytes in it end in an error", async () => {
    const message = toBinary(
      router.StreamCompleteResponseSchema,
      create(router.StreamCompleteResponseSchema, { message: { case: "frame", value: Buffer.alloc(40, 1) } }),
    );
    const enveloped = (flags: number, payload: Uint8Array): Buffer => {
      const head = Buffer.alloc(5);
      head[0] = flags;
      head.writeUInt32BE(payload.length, 1);
      return Buffer.concat([head, payload]);
    };
    const whole = Buffer.concat([
      enveloped(0, message),
      enveloped(0, message),
      enveloped(0, new Uint8Array(0)),
      enveloped(2, Buffer.from("{}")),
    ]);
    let body: Buffer = whole;
    let cuts: number[] = [];
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        const play = async (): Promise<void> => {
          socket.write(
            `HTTP/1.1 200 OK\r\ncontent-type: application/connect+proto\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`,
          );
          const marks = [...new Set([0, ...cuts, body.length])].sort((a, b) => a - b);
          for (const [index, mark] of marks.slice(1).entries()) {
            socket.write(body.subarray(marks[index], mark));
            await new Promise((resolve) => setImmediate(resolve));
          }
          socket.end();
        };
        void play();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await using peers = clientOf((server.address() as net.AddressInfo).port);
    const client = peers.client(router.RouterService);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(whole.length), { maxLength: 6 }),
        fc.option(fc.tuple(fc.nat(whole.length - 1), fc.nat(255))),
        fc.option(fc.nat(whole.length - 1)),
        async (at, flip, end) => {
          body = Buffer.from(whole);
          if (flip !== null) body[flip[0]] = flip[1];
          if (end !== null) body = body.subarray(0, end);
          cuts = at.filter((mark) => mark < body.length);
          let got = 0;
          const read = async (): Promise<void> => {
            for await (const one of client.streamComplete({ call })) if (one.$typeName !== undefined) got++;
          };
          const error = await read().then(
            () => undefined,
            (caught: unknown) => caught,
          );
          if (flip === null && end === null) expect([error, got]).toEqual([undefined, 3]);
          else if (error !== undefined) expect(error).toBeInstanceOf(ConnectError);
          if (end !== null && flip === null) expect(error).toBeInstanceOf(ConnectError);
        },
      ),
      { numRuns: 200 },
    );
    server.close();
  });
});
