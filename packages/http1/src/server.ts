import net from "node:net";
import { CoarseClock } from "./coarse-clock.ts";
import { Connection } from "./connection.ts";
import { listenOn } from "./listen.ts";
import { IDLE_GRACE_MS, type ServerShare } from "./server-share.ts";
import type { HttpHandler, HttpServer, HttpServerOptions } from "./types.ts";

/**
 * Serves HTTP/1.1 (RFC 9112, strictly) on one address. Resolves when it listens.
 * What is no request is answered with `onBadRequest` and the connection closed; timeouts are kept by one coarse timer.
 */
export async function serveHttp(handler: HttpHandler, options: HttpServerOptions): Promise<HttpServer> {
  const server = new StrictServer(handler, options);
  await server.listen(options);
  return server;
}

class StrictServer implements HttpServer, ServerShare {
  readonly handler: HttpHandler;
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly stalledMs: number;
  readonly divert: ServerShare["divert"];
  readonly checkHead: ServerShare["checkHead"];
  readonly onBadRequest: ServerShare["onBadRequest"];
  readonly onHandlerError: ServerShare["onHandlerError"];
  draining = false;
  dateLine = "";
  inFlight = 0;
  bufferedBytes = 0;
  port = 0;
  private readonly maxBufferedBytes: number;
  private readonly clock: CoarseClock;
  private readonly sweepMs: number;
  private readonly server: net.Server;
  private readonly connections = new Set<Connection>();
  private dirty: Connection[] = [];
  private sweeper: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;
  private whenEmpty: (() => void) | undefined;

  constructor(handler: HttpHandler, options: HttpServerOptions) {
    this.handler = handler;
    this.maxHeadBytes = options.maxHeadBytes ?? 16_384;
    this.maxBodyBytes = options.maxBodyBytes ?? 33_554_432;
    this.requestTimeoutMs = options.requestTimeoutMs ?? 60_000;
    this.headTimeoutMs = Math.min(options.headTimeoutMs ?? 10_000, this.requestTimeoutMs);
    this.maxBufferedBytes = options.maxBufferedBytes ?? 1_073_741_824;
    this.idleTimeoutMs = options.idleTimeoutMs ?? 75_000;
    this.stalledMs = options.stalledMs ?? 30_000;
    this.divert = options.divert;
    this.checkHead = options.checkHead;
    this.onBadRequest = options.onBadRequest;
    this.onHandlerError = options.onHandlerError;
    const shortestMs = Math.min(this.headTimeoutMs, this.idleTimeoutMs, this.stalledMs);
    this.sweepMs = Math.max(10, Math.min(500, shortestMs / 4));
    this.clock = new CoarseClock(this.sweepMs);
    this.server = net.createServer({ noDelay: true }, (socket) => {
      this.connections.add(new Connection(socket, this));
    });
    this.server.maxConnections = options.maxConnections ?? 65_536;
  }

  async listen(options: HttpServerOptions): Promise<void> {
    await listenOn(this.server, options.listen);
    const address = this.server.address();
    if (typeof address === "object" && address !== null) this.port = address.port;
    this.sweep();
    this.sweeper = setInterval(() => this.sweep(), this.sweepMs);
    this.sweeper.unref();
  }

  deadlineIn(fromNowMs: number): number {
    return this.clock.nowMs + fromNowMs + this.sweepMs;
  }

  /** One immediate writes out every connection that has something: what providers sent in one tick leaves in one tick. */
  flushSoon(connection: Connection): void {
    if (this.dirty.length === 0) setImmediate(this.flushDirty);
    if (this.dirty.at(-1) !== connection) this.dirty.push(connection);
  }

  private readonly flushDirty = (): void => {
    const { dirty } = this;
    this.dirty = [];
    for (const connection of dirty) connection.flush();
  };

  hasRoomFor(bytes: number): boolean {
    return this.bufferedBytes + bytes <= this.maxBufferedBytes;
  }

  hold(bytes: number): void {
    this.bufferedBytes += bytes;
  }

  begun(): void {
    this.inFlight++;
  }

  done(): void {
    this.inFlight--;
  }

  left(connection: Connection): void {
    this.connections.delete(connection);
    if (this.connections.size === 0) this.whenEmpty?.();
  }

  private sweep(): void {
    const nowMs = this.clock.tick();
    this.dateLine = `date: ${new Date().toUTCString()}\r\n`;
    for (const connection of this.connections) connection.check(nowMs);
  }

  close(drainMs: number): Promise<void> {
    this.closing ??= this.drain(drainMs);
    return this.closing;
  }

  retire(): void {
    this.draining = true;
  }

  private async drain(drainMs: number): Promise<void> {
    this.retire();
    // Not awaited: connections that were handed over count, too, and are their new owner's to close.
    this.server.close();
    const endIdle = (): void => {
      for (const connection of this.connections) connection.endIfIdle();
    };
    const grace = setTimeout(endIdle, Math.min(IDLE_GRACE_MS, drainMs / 2));
    const deadline = setTimeout(() => {
      for (const connection of this.connections) connection.destroy();
    }, drainMs);
    await new Promise<void>((resolve) => {
      this.whenEmpty = resolve;
      if (this.connections.size === 0) resolve();
    });
    clearTimeout(grace);
    clearTimeout(deadline);
    clearInterval(this.sweeper);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }
}
