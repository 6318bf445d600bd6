import { CoarseClock } from "./coarse-clock.ts";
import { ClientConnection, type ClientShare, type Destination } from "./client-connection.ts";
import { HttpClientError } from "./errors.ts";
import { PendingExchange } from "./exchange.ts";
import type { ClientRequest, Exchange, HttpClient, HttpClientOptions, ResponseSink } from "./types.ts";

const SWEEP_MS = 50;

/**
 * A pool of keep-alive connections to one origin ("http://host:port", "https://host") or Unix socket.
 * @throws TypeError for an origin of another kind
 */
export function createHttpClient(origin: string | { readonly path: string }, options: HttpClientOptions): HttpClient {
  return new Pool(destinationOf(origin), options);
}

function destinationOf(origin: string | { readonly path: string }): Destination {
  if (typeof origin !== "string") return { socketPath: origin.path, authority: "localhost" };
  const url = new URL(origin);
  const secure = url.protocol === "https:";
  if ((!secure && url.protocol !== "http:") || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new TypeError("an origin is http:// or https:// with a host and a port");
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  return { host, port, secure, authority: url.host };
}

class Pool implements HttpClient, ClientShare {
  readonly destination: Destination;
  readonly options: HttpClientOptions;
  readonly maxHeadBytes: number;
  private readonly clock = new CoarseClock(SWEEP_MS);
  private readonly idleTimeoutMs: number;
  private readonly maxQueued: number;
  private readonly all = new Set<ClientConnection>();
  /** The one used last is taken first: the others age and go. */
  private readonly idle: ClientConnection[] = [];
  private queue: PendingExchange[] = [];
  private sweeper: NodeJS.Timeout | undefined;
  private disposed = false;

  constructor(destination: Destination, options: HttpClientOptions) {
    this.destination = destination;
    this.options = options;
    this.maxHeadBytes = options.maxHeadBytes ?? 65_536;
    this.idleTimeoutMs = options.idleTimeoutMs ?? 15_000;
    this.maxQueued = options.maxQueued ?? 1_024;
  }

  get connections(): number {
    return this.all.size;
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  request(request: ClientRequest, sink: ResponseSink): Exchange {
    if (this.sweeper === undefined) this.clock.tick();
    const exchange = new PendingExchange(request, sink, this);
    if (request.signal?.aborted === true) exchange.cancel();
    else if (this.disposed) exchange.fail(new HttpClientError("connect", "the client was closed", false));
    else {
      exchange.listen();
      this.assign(exchange, false);
    }
    return exchange;
  }

  closeIdle(): void {
    for (const connection of this.idle.splice(0)) connection.destroy();
  }

  cut(): void {
    // Not those that are made meanwhile, for requests that waited.
    const now = [...this.all];
    for (const connection of now) connection.destroy();
  }

  /** Gives it a connection, or a place in the queue. `fresh`: not one that was used before. */
  assign(exchange: PendingExchange, fresh: boolean): void {
    const connection = fresh ? undefined : this.takeIdle();
    if (connection !== undefined) connection.carry(exchange);
    else if (this.all.size < this.options.maxConnections) this.open().carry(exchange);
    else if (fresh && this.idle.length > 0) {
      this.idle.shift()?.destroy();
      this.open().carry(exchange);
    } else if (this.queue.length < this.maxQueued) this.queue.push(exchange);
    else exchange.fail(new HttpClientError("too-many", "every connection is in use and the queue is full", false));
  }

  private takeIdle(): ClientConnection | undefined {
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (connection.usable) return connection;
    }
    return undefined;
  }

  private open(): ClientConnection {
    if (this.sweeper === undefined) this.startSweep();
    const connection = new ClientConnection(this);
    this.all.add(connection);
    return connection;
  }

  private next(): PendingExchange | undefined {
    for (let exchange = this.queue.shift(); exchange !== undefined; exchange = this.queue.shift()) {
      if (!exchange.over) return exchange;
    }
    return undefined;
  }

  // ---- what connections report

  release(connection: ClientConnection, keepAliveMs: number): void {
    const exchange = this.next();
    if (exchange !== undefined) {
      connection.carry(exchange);
      return;
    }
    connection.expiresAtMs = this.nowMs + Math.min(this.idleTimeoutMs, keepAliveMs);
    this.idle.push(connection);
  }

  gone(connection: ClientConnection): void {
    if (!this.all.delete(connection)) return;
    const index = this.idle.indexOf(connection);
    if (index >= 0) this.idle.splice(index, 1);
    const exchange = this.disposed ? undefined : this.next();
    if (exchange !== undefined) this.assign(exchange, false);
    if (this.all.size === 0 && this.queue.length === 0) this.stopSweep();
  }

  // ---- time

  private startSweep(): void {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS);
    this.sweeper.unref();
  }

  private stopSweep(): void {
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  private sweep(): void {
    this.clock.tick();
    for (const exchange of this.queue) exchange.checkConnect(this.nowMs);
    if (this.queue.length > 0) this.queue = this.queue.filter((exchange) => !exchange.over);
    for (const connection of this.all) connection.check(this.nowMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    const waiting = this.queue;
    this.queue = [];
    for (const exchange of waiting) exchange.fail(new HttpClientError("connect", "the client was closed", false));
    for (const connection of this.all) connection.destroy();
    this.stopSweep();
  }
}
