import { once } from "node:events";
import http from "node:http";
import { connect, createServer, type Socket } from "node:net";

export interface FrontDoorOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** The service behind a path's first segment ("weir.audit.v1.AuditService"); undefined: there is none. */
  readonly route: (
    service: string,
  ) => { readonly port: number; readonly headers: Readonly<Record<string, string>> } | undefined;
  /** Where gRPC (HTTP/2) goes, unread. */
  readonly http2Port: number;
}

/**
 * One RPC address for a mesh on one machine, as a load balancer gives it in a cluster: HTTP/1.1 by path, HTTP/2 to one service.
 * For development: no limits, no retries.
 */
export async function openFrontDoor(options: FrontDoorOptions): Promise<AsyncDisposable> {
  const proxy = http.createServer((request, response) => {
    const target = options.route(request.url?.split("/")[1] ?? "");
    if (target === undefined) return void response.writeHead(404).end();
    const upstream = http.request(
      {
        host: "127.0.0.1",
        port: target.port,
        method: request.method,
        path: request.url,
        headers: { ...request.headers, ...target.headers },
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    upstream.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(503).end()));
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
  });
  const sockets = new Set<Socket>();
  const door = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.once("data", (first: Buffer) => {
      socket.pause();
      socket.unshift(first);
      // Only HTTP/2's preface begins with a method of that name.
      if (first.subarray(0, 4).toString() === "PRI ") {
        const upstream = connect(options.http2Port, "127.0.0.1");
        upstream.on("error", () => socket.destroy());
        socket.pipe(upstream).pipe(socket);
        return;
      }
      proxy.emit("connection", socket);
      socket.resume();
    });
  });
  door.listen(options.listen);
  await once(door, "listening");
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(door, "close");
      door.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
