import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Exchange } from "./exchange.ts";

export interface Received {
  readonly path: string;
  readonly headers: string;
  readonly body: Buffer;
}

/** Answers with recorded bytes, on sockets of its own so that it decides where they are cut: also within chunks' sizes and characters. */
export interface ReplayServer extends AsyncDisposable {
  readonly origin: string;
  /** The model's name says which exchange is replayed. */
  replay(model: string, exchange: Exchange): void;
  /** What came for a model. */
  received(model: string): readonly Received[];
}

/** Mulberry32: where bytes are cut must be the same in every run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function startReplayServer(): Promise<ReplayServer> {
  const exchanges = new Map<string, Exchange>();
  const received = new Map<string, Received[]>();
  const sockets = new Set<Socket>();
  let seed = 1;
  const answer = async (socket: Socket, request: Received): Promise<void> => {
    const model = modelOf(request);
    (received.get(model) ?? received.set(model, []).get(model))?.push(request);
    const exchange = exchanges.get(model);
    if (exchange === undefined) return void socket.end("HTTP/1.1 501 Unknown\r\ncontent-length: 0\r\n\r\n");
    await writeCut(socket, bytesOf(exchange), seeded(seed++));
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    // A gateway that leaves in the middle is no failure here.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    let pending = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      const request = requestIn(pending);
      if (request === undefined) return;
      pending = Buffer.alloc(0);
      answer(socket, request).catch(() => socket.destroy());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    replay: (model, exchange) => void exchanges.set(model, exchange),
    received: (model) => received.get(model) ?? [],
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function requestIn(bytes: Buffer): Received | undefined {
  const head = bytes.indexOf("\r\n\r\n");
  if (head === -1) return undefined;
  const headers = bytes.subarray(0, head).toString("latin1");
  const length = Number(/^content-length: *(\d+)$/im.exec(headers)?.[1] ?? 0);
  const body = bytes.subarray(head + 4);
  return body.length < length ? undefined : { path: headers.split(" ")[1] ?? "", headers, body: Buffer.from(body) };
}

/** Google's and Amazon's are in the path. */
function modelOf({ path, body }: Received): string {
  const inPath = (/\/models\/([^:/?]+):/.exec(path) ?? /\/model\/([^/]+)\/converse/.exec(path))?.[1];
  return decodeURIComponent(inPath ?? String((JSON.parse(body.toString()) as { model?: unknown }).model));
}

function bytesOf({ status, headers, answer }: Exchange): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} Replayed\r\n${lines.join("")}transfer-encoding: chunked\r\n\r\n`;
  const size = `${answer.length.toString(16)}\r\n`;
  return Buffer.concat([Buffer.from(head + size), answer, Buffer.from("\r\n0\r\n\r\n")]);
}

/** Byte by byte where it is short, or in pieces of any size; now and then with a pause, so that pieces do arrive apart. */
async function writeCut(socket: Socket, bytes: Buffer, random: () => number): Promise<void> {
  const largest = bytes.length < 4_000 && random() < 0.5 ? 1 : 1 + Math.floor(random() ** 2 * 3_000);
  const pauses = Math.min(0.5, (30 * largest) / bytes.length);
  for (let from = 0; from < bytes.length && !socket.destroyed; ) {
    const to = from + 1 + Math.floor(random() * largest);
    socket.write(bytes.subarray(from, to));
    from = to;
    if (random() < pauses) await sleep(1);
  }
}
