import net from "node:net";
import tls from "node:tls";
import { HttpClientError, HttpSyntaxError } from "./errors.ts";
import type { Assigner, PendingExchange } from "./exchange.ts";
import type { ParsedResponse } from "./head.ts";
import { Output } from "./output.ts";
import { type ResponseEvents, ResponseReader } from "./response-reader.ts";
import type { HttpClientOptions } from "./types.ts";

export type Destination =
  | { readonly socketPath: string; readonly authority: string }
  | { readonly host: string; readonly port: number; readonly secure: boolean; readonly authority: string };

/** What all connections of a client share. */
export interface ClientShare extends Assigner {
  readonly destination: Destination;
  readonly options: HttpClientOptions;
  readonly maxHeadBytes: number;
  release(connection: ClientConnection, keepAliveMs: number): void;
  gone(connection: ClientConnection): void;
}

const TCP_PROBE_MS = 30_000;

/** Begins to connect. @param onConnect called once it may be written to */
function connect(destination: Destination, options: HttpClientOptions, onConnect: () => void): net.Socket {
  if ("socketPath" in destination) return net.connect({ path: destination.socketPath }, onConnect);
  const { host, port, secure } = destination;
  const where = {
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_PROBE_MS,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
  };
  if (!secure) return net.connect(where, onConnect);
  const servername = net.isIP(host) === 0 ? { servername: host } : {};
  return tls.connect({ ...where, ...servername, ALPNProtocols: ["http/1.1"], ...options.tls }, onConnect);
}

/** One connection of a client: carries one exchange at a time. */
export class ClientConnection implements ResponseEvents {
  expiresAtMs = 0;
  private readonly share: ClientShare;
  private readonly socket: net.Socket;
  private readonly output: Output;
  private readonly reader: ResponseReader;
  private state: "connecting" | "open" | "gone" = "connecting";
  private exchange: PendingExchange | undefined;
  private used = false;
  private keepAliveMs = Number.POSITIVE_INFINITY;
  /** Since when the exchange waits for what comes next: a connection, a head, more of a body. */
  private sinceMs: number;

  constructor(share: ClientShare) {
    this.share = share;
    this.sinceMs = share.nowMs;
    this.socket = connect(share.destination, share.options, this.onConnect);
    this.output = new Output(this.socket);
    this.reader = new ResponseReader(this, share.maxHeadBytes);
    this.socket.on("data", this.onData);
    this.socket.on("drain", this.onDrain);
    this.socket.on("end", this.onEnd);
    this.socket.on("error", this.onError);
    this.socket.on("close", this.onClose);
  }

  get usable(): boolean {
    return this.state === "open" && this.share.nowMs < this.expiresAtMs && this.socket.writable;
  }

  carry(exchange: PendingExchange): void {
    this.exchange = exchange;
    exchange.connection = this;
    if (this.state === "open") this.write(exchange);
  }

  private readonly onConnect = (): void => {
    this.state = "open";
    if (this.exchange !== undefined) this.write(this.exchange);
    else this.share.release(this, this.keepAliveMs);
  };

  private write(exchange: PendingExchange): void {
    const { method, path, headers, body } = exchange.request;
    this.sinceMs = this.share.nowMs;
    exchange.sent = true;
    this.reader.expect(method);
    const bodyless = body === undefined && (method === "GET" || method === "HEAD");
    const length = bodyless ? "" : `content-length: ${body?.length ?? 0}\r\n`;
    this.output.add(
      `${method} ${path} HTTP/1.1\r\nhost: ${this.share.destination.authority}\r\n${headers}${length}\r\n`,
    );
    if (body !== undefined && body.length > 0) this.output.add(body);
    this.output.flush();
    if (exchange.isPaused) this.socket.pause();
  }

  // ---- in

  private readonly onData = (chunk: Buffer): void => {
    this.sinceMs = this.share.nowMs;
    try {
      this.reader.feed(chunk);
    } catch (error) {
      if (!(error instanceof HttpSyntaxError)) {
        this.destroy();
        throw error;
      }
      this.lose(new HttpClientError("protocol", `the response is malformed: ${error.message}`, true));
    }
  };

  head(response: ParsedResponse): void {
    const seconds = response.keepAliveSeconds;
    // A second less than the server promises, so as not to meet it closing.
    this.keepAliveMs = seconds < 0 ? Number.POSITIVE_INFINITY : Math.max(0, seconds * 1000 - 1000);
    this.exchange?.head(response.status, response);
  }

  data(chunk: Buffer): void {
    this.exchange?.data(chunk);
  }

  end(reusable: boolean): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.used = true;
    // A peer that answers before it has read the request will not read the rest.
    if (!reusable || this.output.waiting > 0 || !this.socket.writable) {
      this.destroy();
    } else {
      if (exchange?.isPaused === true) this.socket.resume();
      this.share.release(this, this.keepAliveMs);
    }
    exchange?.end();
  }

  private readonly onDrain = (): void => this.output.advance();

  // ---- the end of it

  private readonly onEnd = (): void => {
    if (!this.reader.finish()) this.lose(this.broken("the connection was closed before the response was whole"));
  };

  private readonly onError = (error: Error): void => {
    const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
    this.lose(this.broken(`${this.state === "connecting" ? "no connection" : "the connection broke"}: ${code}`, error));
  };

  private readonly onClose = (): void => this.lose(this.broken("the connection was closed"));

  private broken(message: string, cause?: Error): HttpClientError {
    const kind = this.state === "connecting" ? "connect" : "reset";
    return new HttpClientError(kind, message, this.exchange?.sent === true, cause);
  }

  private lose(error: HttpClientError): void {
    const { exchange } = this;
    this.abandon();
    exchange?.lost(error, this.used);
  }

  /** Its exchange ended early; what is still on the wire cannot be told from the next answer. */
  abandon(): void {
    this.exchange = undefined;
    this.reader.stop();
    if (this.state === "gone") return;
    this.state = "gone";
    this.socket.destroy();
    this.share.gone(this);
  }

  destroy(): void {
    const error = this.broken("the connection was closed");
    const { exchange } = this;
    this.abandon();
    exchange?.lost(error, false);
  }

  pause(): void {
    if (this.state === "open") this.socket.pause();
  }

  resume(): void {
    this.sinceMs = this.share.nowMs;
    if (this.state === "open") this.socket.resume();
  }

  // ---- time

  /** Called by the client's sweep. */
  check(nowMs: number): void {
    const { exchange } = this;
    if (exchange === undefined) {
      if (this.state === "open" && nowMs >= this.expiresAtMs) this.destroy();
    } else if (this.state === "connecting") {
      exchange.checkConnect(nowMs);
    } else if (!exchange.isPaused) {
      exchange.checkRead(nowMs - this.sinceMs, this.reader.beforeHead);
    }
  }
}
