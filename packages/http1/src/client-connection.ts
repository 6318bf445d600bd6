import net from "node:net";
import tls from "node:tls";
import { ChunkedDecoder } from "./chunked.ts";
import { HttpClientError, HttpSyntaxError } from "./errors.ts";
import type { Assigner, PendingExchange } from "./exchange.ts";
import { findHeadEnd, ParsedResponse } from "./head.ts";
import { Output } from "./output.ts";
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

type Phase = "connecting" | "idle" | "waiting" | "length" | "chunked" | "until-close" | "gone";

const EMPTY = Buffer.alloc(0);

/** One connection of a client: carries one exchange at a time. */
export class ClientConnection {
  expiresAtMs = 0;
  private phase: Phase = "connecting";
  private readonly share: ClientShare;
  private readonly socket: net.Socket;
  private readonly output: Output;
  private exchange: PendingExchange | undefined;
  private used = false;
  private input: Buffer = EMPTY;
  private left = 0;
  private decoder: ChunkedDecoder | undefined;
  private reusable = true;
  private keepAliveMs = Number.POSITIVE_INFINITY;
  /** Since when the current phase waits: for a connection, a head, more of a body. */
  private sinceMs: number;

  constructor(share: ClientShare) {
    this.share = share;
    this.sinceMs = share.nowMs;
    const { destination, options } = share;
    if ("socketPath" in destination) {
      this.socket = net.connect({ path: destination.socketPath });
      this.socket.once("connect", this.onConnect);
    } else {
      const { host, port } = destination;
      const where = options.lookup === undefined ? { host, port } : { host, port, lookup: options.lookup };
      if (destination.secure) {
        const servername = net.isIP(host) === 0 ? { servername: host } : {};
        this.socket = tls.connect({ ...where, ...servername, ALPNProtocols: ["http/1.1"], ...options.tls });
        this.socket.once("secureConnect", this.onConnect);
      } else {
        this.socket = net.connect(where);
        this.socket.once("connect", this.onConnect);
      }
      this.socket.setNoDelay(true);
      this.socket.setKeepAlive(true, 30_000);
    }
    this.output = new Output(this.socket);
    this.socket.on("data", this.onData);
    this.socket.on("drain", this.onDrain);
    this.socket.on("end", this.onEnd);
    this.socket.on("error", this.onError);
    this.socket.on("close", this.onClose);
  }

  get usable(): boolean {
    return this.phase === "idle" && this.share.nowMs < this.expiresAtMs && this.socket.writable;
  }

  carry(exchange: PendingExchange): void {
    this.exchange = exchange;
    exchange.connection = this;
    if (this.phase === "idle") this.write(exchange);
  }

  private readonly onConnect = (): void => {
    this.phase = "idle";
    if (this.exchange !== undefined) this.write(this.exchange);
    else this.share.release(this, this.keepAliveMs);
  };

  private write(exchange: PendingExchange): void {
    const { method, path, headers, body } = exchange.request;
    this.phase = "waiting";
    this.sinceMs = this.share.nowMs;
    exchange.sent = true;
    const { authority } = this.share.destination;
    const bodyless = body === undefined && (method === "GET" || method === "HEAD");
    const length = bodyless ? "" : `content-length: ${body?.length ?? 0}\r\n`;
    this.output.add(`${method} ${path} HTTP/1.1\r\nhost: ${authority}\r\n${headers}${length}\r\n`);
    if (body !== undefined && body.length > 0) this.output.add(body);
    this.output.flush();
    if (exchange.isPaused) this.socket.pause();
  }

  // ---- in

  private readonly onData = (chunk: Buffer): void => {
    try {
      this.read(chunk);
    } catch (error) {
      if (!(error instanceof HttpSyntaxError)) {
        this.destroy();
        throw error;
      }
      this.lose(new HttpClientError("protocol", `the response is malformed: ${error.message}`, true));
    }
  };

  private read(chunk: Buffer): void {
    this.sinceMs = this.share.nowMs;
    switch (this.phase) {
      case "waiting":
        this.readHeads(chunk);
        return;
      case "length":
        this.readLength(chunk, 0);
        return;
      case "chunked":
        this.readChunked(chunk, 0);
        return;
      case "until-close":
        this.exchange?.data(chunk);
        return;
      case "idle":
      case "connecting":
        // Nobody asked. Whatever it means, it would be taken for the answer to the next request.
        this.destroy();
        return;
      case "gone":
    }
  }

  private readHeads(chunk: Buffer): void {
    const before = this.input.length;
    const input = before === 0 ? chunk : Buffer.concat([this.input, chunk]);
    let from = 0;
    for (;;) {
      const end = findHeadEnd(input, from === 0 ? Math.max(0, before - 3) : from);
      if ((end < 0 ? input.length : end) - from > this.share.maxHeadBytes) {
        throw new HttpSyntaxError("headers too large");
      }
      if (end < 0) break;
      const response = new ParsedResponse(input, from, end);
      from = end + 4;
      if (response.status >= 200) {
        this.input = EMPTY;
        this.begin(response, input, from);
        return;
      }
      if (response.status === 101) throw new HttpSyntaxError("a protocol switch that nobody asked for");
    }
    this.input = from === 0 ? input : input.subarray(from);
  }

  private begin(response: ParsedResponse, input: Buffer, from: number): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    this.reusable = !response.close;
    this.keepAliveMs =
      response.keepAliveSeconds < 0 ? Number.POSITIVE_INFINITY : Math.max(0, response.keepAliveSeconds * 1000 - 1000);
    const empty = exchange.request.method === "HEAD" || response.status === 204 || response.status === 304;
    if (empty) this.left = 0;
    else this.left = response.contentLength;
    if (empty || response.contentLength >= 0) this.phase = "length";
    else if (response.chunked) this.phase = "chunked";
    else this.phase = "until-close";
    if (this.phase === "chunked") this.decoder = new ChunkedDecoder();
    exchange.head(response.status, response);
    // The sink may have cancelled.
    if (this.exchange !== exchange) return;
    if (this.phase === "length") this.readLength(input, from);
    else if (this.phase === "chunked") this.readChunked(input, from);
    else if (from < input.length) exchange.data(input.subarray(from));
  }

  private readLength(bytes: Buffer, from: number): void {
    const { exchange } = this;
    const arrived = bytes.length - from;
    if (arrived > this.left) throw new HttpSyntaxError("bytes after the end");
    this.left -= arrived;
    if (arrived > 0) exchange?.data(from === 0 ? bytes : bytes.subarray(from));
    if (this.left === 0 && this.exchange === exchange) this.complete();
  }

  private readChunked(bytes: Buffer, from: number): void {
    const { exchange, decoder } = this;
    if (decoder === undefined || bytes.length === from) return;
    const end = decoder.feed(bytes, from, this.takeChunk);
    if (end < 0 || this.exchange !== exchange) return;
    if (end < bytes.length) throw new HttpSyntaxError("bytes after the end");
    this.complete();
  }

  private readonly takeChunk = (bytes: Buffer, start: number, end: number): void => {
    this.exchange?.data(bytes.subarray(start, end));
  };

  private complete(): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.decoder = undefined;
    this.used = true;
    if (exchange === undefined) return;
    // A peer that answers before it has read the request will not read the rest.
    if (!this.reusable || this.output.waiting > 0 || !this.socket.writable) {
      this.destroy();
    } else {
      this.phase = "idle";
      if (exchange.isPaused) this.socket.resume();
      this.share.release(this, this.keepAliveMs);
    }
    exchange.end();
  }

  // ---- the end of it

  private readonly onDrain = (): void => this.output.advance();

  private readonly onEnd = (): void => {
    if (this.phase === "until-close") {
      this.reusable = false;
      this.complete();
    } else {
      this.lose(
        new HttpClientError("reset", "the connection was closed before the response was whole", this.wasSent()),
      );
    }
  };

  private readonly onError = (error: Error): void => {
    const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
    const kind = this.phase === "connecting" ? "connect" : "reset";
    const what = kind === "connect" ? "no connection" : "the connection broke";
    this.lose(new HttpClientError(kind, `${what}: ${code}`, this.wasSent(), error));
  };

  private readonly onClose = (): void => {
    const kind = this.phase === "connecting" ? "connect" : "reset";
    this.lose(new HttpClientError(kind, "the connection was closed", this.wasSent()));
  };

  private wasSent(): boolean {
    return this.exchange?.sent === true;
  }

  private lose(error: HttpClientError): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.destroy();
    exchange?.lost(error, this.used);
  }

  /** Its exchange ended early; what is still on the wire cannot be told from the next answer. */
  abandon(): void {
    this.exchange = undefined;
    this.destroy();
  }

  destroy(): void {
    const { exchange } = this;
    this.exchange = undefined;
    if (this.phase !== "gone") {
      this.phase = "gone";
      this.socket.destroy();
      this.share.gone(this);
    }
    exchange?.lost(new HttpClientError("reset", "the connection was closed", exchange.sent), false);
  }

  pause(): void {
    if (this.phase !== "connecting") this.socket.pause();
  }

  resume(): void {
    if (this.phase === "connecting") return;
    this.sinceMs = this.share.nowMs;
    this.socket.resume();
  }

  // ---- time

  /** Called by the client's sweep. */
  check(nowMs: number): void {
    const { exchange } = this;
    if (exchange === undefined) {
      if (this.phase === "idle" && nowMs >= this.expiresAtMs) this.destroy();
      return;
    }
    const { connectMs, firstByteMs, idleMs } = exchange.request;
    const waitedMs = nowMs - this.sinceMs;
    if (this.phase === "connecting") {
      exchange.check(nowMs);
      if (!exchange.over && connectMs > 0 && waitedMs > connectMs) {
        exchange.failWith("timeout-connect", `no connection within ${connectMs} ms`);
      }
    } else if (exchange.isPaused) {
      return;
    } else if (this.phase === "waiting") {
      if (firstByteMs > 0 && waitedMs > firstByteMs) {
        exchange.failWith("timeout-first-byte", `no response within ${firstByteMs} ms`);
      }
    } else if (idleMs > 0 && waitedMs > idleMs) {
      exchange.failWith("timeout-idle", `nothing more of the response within ${idleMs} ms`);
    }
  }
}
