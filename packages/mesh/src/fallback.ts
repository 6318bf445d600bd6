import http from "node:http";
import http2 from "node:http2";
import type { Socket } from "node:net";
import type { DescMessage, DescService, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectError, ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { peerValues } from "./peer-address.ts";
import { cancelled } from "./rpc-errors.ts";
import type { ServedMethod } from "./served.ts";

/** Everything that is not the fast path: JSON, compression, GET, gRPC, gRPC-web, HTTP/2. Served by connect-node, behind the same hooks. */
export interface Fallback {
  readonly takeHttp1: (socket: Socket) => void;
  readonly takeHttp2: (socket: Socket) => void;
  close(drainMs: number): Promise<void>;
}

export interface FallbackOptions {
  readonly maxMessageBytes: number;
  readonly authorize: (service: DescService, header: Headers) => ConnectError | undefined;
}

// Inside a mesh compressing costs more than it saves. An empty acceptCompression would also refuse compressed requests.
const NEVER_BYTES = 2 ** 31 - 1;
const REQUEST_TIMEOUT_MS = 60_000;

export function createFallback(methods: readonly ServedMethod[], options: FallbackOptions): Fallback {
  const handler = connectNodeAdapter({
    routes: (router) => addRoutes(router, methods),
    readMaxBytes: options.maxMessageBytes,
    compressMinBytes: NEVER_BYTES,
    contextValues: (request) => peerValues(request.socket),
    requestGate: (context) => {
      const denied = options.authorize(context.service, context.requestHeader);
      if (denied !== undefined) throw denied;
    },
  });
  const h1 = http.createServer(
    { noDelay: true, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: 75_000 },
    handler,
  );
  const h2 = http2.createServer(handler);
  const sessions = new Set<http2.ServerHttp2Session>();
  const sockets = new Set<Socket>();
  h2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  // It gets its connections handed over and never listens; this starts what keeps its timeouts.
  h1.emit("listening");
  const adopt = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  return {
    takeHttp1(socket) {
      adopt(socket);
      h1.emit("connection", socket);
      socket.resume();
    },
    takeHttp2(socket) {
      adopt(socket);
      // Reads what waits in the socket by itself: resume() would lose it.
      h2.emit("connection", socket);
    },
    async close(drainMs) {
      const cut = setTimeout(() => {
        for (const session of sessions) session.destroy();
        for (const socket of sockets) socket.destroy();
      }, drainMs);
      h1.close();
      h1.closeIdleConnections();
      for (const session of sessions) session.close();
      await Promise.all([...sockets].map(closed));
      clearTimeout(cut);
    },
  };
}

// Not events.once: a socket that ends with an error is closed as well.
const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });

function addRoutes(router: ConnectRouter, methods: readonly ServedMethod[]): void {
  const services = new Map<DescService, Record<string, unknown>>();
  for (const method of methods) {
    const service = method.desc.parent;
    const implementation = services.get(service) ?? {};
    services.set(service, implementation);
    implementation[method.desc.localName] = method.kind === "unary" ? method.call : streaming(method.open);
  }
  for (const [service, implementation] of services) {
    router.service(service, implementation as Partial<ServiceImpl<DescService>>);
  }
}

type Open = Extract<ServedMethod, { kind: "stream" }>["open"];

function streaming(open: Open) {
  return async function* (request: Message, context: HandlerContext): AsyncGenerator<MessageInitShape<DescMessage>> {
    const stream = open(request, context);
    let ended = false;
    try {
      for (let message = await stream.next(); message !== undefined; message = await stream.next()) yield message;
      ended = true;
    } catch (error) {
      ended = true;
      throw error;
    } finally {
      if (!ended) stream.cancel(cancelled());
    }
  };
}
