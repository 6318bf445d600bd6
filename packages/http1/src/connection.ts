import type { Socket } from "node:net";
import { ChunkedDecoder } from "./chunked.ts";
import { HttpSyntaxError } from "./errors.ts";
import { Gather } from "./gather.ts";
import { findHeadEnd, ParsedRequest } from "./head.ts";
import { Output } from "./output.ts";
import { Reply, type ReplyChannel, statusLine } from "./reply.ts";
import type { Divert, HttpHandler, RenderedError } from "./types.ts";
import type { Reason } from "@weir/kernel";

/** What all connections of a server share. */
export interface ServerShare {
  readonly handler: HttpHandler;
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly stalledMs: number;
  readonly divert: Divert | undefined;
  readonly onBadRequest: (status: number, reason: Reason, message: string) => RenderedError;
  readonly onHandlerError: ((error: unknown) => void) | undefined;
  /** When `fromNowMs` will have passed, on the server's coarse clock. */
  deadlineIn(fromNowMs: number): number;
  readonly draining: boolean;
  /** "date: …\r\n", of this second. */
  readonly dateLine: string;
  flushSoon(connection: Connection): void;
  begun(): void;
  done(): void;
  left(connection: Connection): void;
}

type Phase =
  /** Between requests. */
  | "idle"
  | "head"
  | "body"
  /** A request is with the handler. */
  | "busy"
  /** The last answer is out; what still comes is thrown away until the peer closes, so that it can read that answer. */
  | "lingering"
  | "gone";

const EMPTY = Buffer.alloc(0);
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");
/** More than this of pipelined requests is not read ahead. */
const READ_AHEAD_BYTES = 65_536;
const LINGER_MS = 1_000;

/** One connection of a server: requests in, one at a time and in order; answers out. */
export class Connection implements ReplyChannel {
  phase: Phase = "idle";
  private readonly share: ServerShare;
  private readonly socket: Socket;
  private readonly output: Output;
  private input: Buffer = EMPTY;
  private at = 0;
  private scanned = 0;
  private request: ParsedRequest | undefined;
  private decoder: ChunkedDecoder | undefined;
  private readonly body = new Gather();
  private reply: Reply | undefined;
  private pumping = false;
  private closing = false;
  private untouched = true;
  private deadlineMs: number;
  private takenBytes = 0;
  private stalledSinceMs = 0;
  private waiters: (() => void)[] = [];
  private peerAddress: string | undefined;

  constructor(socket: Socket, share: ServerShare) {
    this.socket = socket;
    this.share = share;
    this.output = new Output(socket);
    this.deadlineMs = share.deadlineIn(share.headTimeoutMs);
    socket.on("data", this.onData);
    socket.on("drain", this.onDrain);
    socket.on("end", this.onEnd);
    // "close" follows and says all there is to say: the peer is gone.
    socket.on("error", this.onError);
    socket.on("close", this.onClose);
  }

  get remoteAddress(): string {
    this.peerAddress ??= this.socket.remoteAddress ?? "";
    return this.peerAddress;
  }

  // ---- in

  private readonly onData = (chunk: Buffer): void => {
    if (this.phase === "lingering" || this.phase === "gone") return;
    if (this.at === this.input.length) {
      this.input = chunk;
      this.scanned = 0;
    } else {
      const rest = this.input.length - this.at;
      this.scanned = Math.max(0, this.scanned - this.at);
      this.input = Buffer.concat([this.input.subarray(this.at), chunk], rest + chunk.length);
    }
    this.at = 0;
    if (this.phase !== "busy") this.pump();
    else if (this.input.length > READ_AHEAD_BYTES) this.socket.pause();
  };

  private readonly onDrain = (): void => {
    this.output.advance();
    if (this.waiters.length === 0 || this.output.waiting > 0) return;
    this.wake();
  };

  private readonly onEnd = (): void => {
    // A client that closes its side while it is owed an answer has given up on it. Else what was written still leaves, then it ends.
    if (this.phase !== "idle" && this.phase !== "lingering") this.socket.destroy();
  };

  private readonly onError = (): void => {
    this.socket.destroy();
  };

  private readonly onClose = (): void => {
    const wasBusy = this.phase === "busy";
    const wasReading = this.phase === "body";
    this.phase = "gone";
    this.input = EMPTY;
    this.at = 0;
    this.share.left(this);
    const reply = this.reply;
    this.reply = undefined;
    this.wake();
    reply?.gone();
    if (wasBusy || wasReading) this.share.done();
  };

  private wake(): void {
    const waiters = this.waiters;
    if (waiters.length === 0) return;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Handles what has arrived, as far as it goes. A loop, as a thousand pipelined requests must not nest. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.step());
    } catch (error) {
      if (!(error instanceof HttpSyntaxError)) throw error;
      this.refuse(error.status, error.reason, error.message);
    } finally {
      this.pumping = false;
    }
    this.output.flush();
  }

  private step(): boolean {
    if (this.phase === "busy" || this.phase === "lingering" || this.phase === "gone") return false;
    if (this.phase !== "body" && !this.readHead()) return false;
    const request = this.request;
    if (request === undefined || !this.readBody(request)) return false;
    this.request = undefined;
    this.dispatch(request);
    return true;
  }

  /** True once a head is there and its body may be read. */
  private readHead(): boolean {
    if (this.at === this.input.length) return false;
    if (this.phase === "idle") {
      this.phase = "head";
      this.deadlineMs = this.share.deadlineIn(this.share.headTimeoutMs);
    }
    if (this.untouched && this.share.divert !== undefined) {
      const length = Math.min(this.input.length, PREFACE.length);
      if (PREFACE.compare(this.input, 0, length, 0, length) === 0) {
        if (length === PREFACE.length) this.handOver(this.share.divert(undefined));
        if (length === PREFACE.length && this.phase === "head") throw new HttpSyntaxError("HTTP/2 is not served here");
        return false;
      }
    }
    // One empty line before a request is ignored (RFC 9112 §2.2).
    const from = this.input[this.at] === 13 && this.input[this.at + 1] === 10 ? this.at + 2 : this.at;
    const end = findHeadEnd(this.input, Math.max(from, this.scanned));
    const headBytes = (end < 0 ? this.input.length : end) - from;
    if (headBytes > this.share.maxHeadBytes) {
      throw new HttpSyntaxError("the request's headers are too large", 431, "headers_too_large");
    }
    if (end < 0) {
      this.scanned = Math.max(from, this.input.length - 3);
      return false;
    }
    const request = new ParsedRequest(this.input, from, end, this);
    const takenOver = this.share.divert?.(request);
    if (takenOver !== undefined) {
      this.handOver(takenOver);
      return false;
    }
    this.untouched = false;
    this.at = end + 4;
    this.beginBody(request);
    return true;
  }

  private beginBody(request: ParsedRequest): void {
    if (request.contentLength > this.share.maxBodyBytes) this.tooLarge();
    if (request.expect !== undefined) {
      if (request.expect.toLowerCase() !== "100-continue") throw new HttpSyntaxError("unknown expectation", 417);
      const hasBody = request.chunked || request.contentLength > 0;
      if (hasBody && !request.http10 && this.at === this.input.length) {
        this.output.add("HTTP/1.1 100 Continue\r\n\r\n");
        this.output.flush();
      }
    }
    this.request = request;
    this.phase = "body";
    this.share.begun();
    if (request.chunked) this.decoder = new ChunkedDecoder();
    this.deadlineMs = this.share.deadlineIn(this.share.bodyTimeoutMs);
  }

  private tooLarge(): never {
    throw new HttpSyntaxError(
      `the body is larger than ${this.share.maxBodyBytes} bytes, the most that is accepted`,
      413,
      "body_too_large",
    );
  }

  /** True once the body is whole. */
  private readBody(request: ParsedRequest): boolean {
    if (this.decoder !== undefined) {
      const end = this.decoder.feed(this.input, this.at, this.takeChunk);
      this.at = end < 0 ? this.input.length : end;
      if (end < 0) return false;
      this.decoder = undefined;
      request.body = this.body.take();
      return true;
    }
    const missing = Math.max(0, request.contentLength) - this.body.length;
    const taken = Math.min(missing, this.input.length - this.at);
    this.body.append(this.input, this.at, this.at + taken);
    this.at += taken;
    if (taken < missing) return false;
    if (request.contentLength > 0) request.body = this.body.take();
    return true;
  }

  private readonly takeChunk = (bytes: Buffer, start: number, end: number): void => {
    if (this.body.length + end - start > this.share.maxBodyBytes) this.tooLarge();
    this.body.append(bytes, start, end);
  };

  private dispatch(request: ParsedRequest): void {
    this.phase = "busy";
    this.deadlineMs = 0;
    const reply = new Reply(this, request.method, request.http10, request.close);
    this.reply = reply;
    try {
      this.share.handler(request, reply);
    } catch (error) {
      if (reply.started) reply.abort();
      else {
        const rendered = this.share.onBadRequest(500, "internal", "internal error");
        reply.send(500, rendered.headers, rendered.body);
      }
      const { onHandlerError } = this.share;
      if (onHandlerError === undefined) throw error;
      onHandlerError(error);
    }
  }

  private handOver(accept: ((socket: Socket) => void) | undefined): void {
    if (accept === undefined) return;
    this.output.flush();
    const { socket } = this;
    socket.off("data", this.onData);
    socket.off("drain", this.onDrain);
    socket.off("end", this.onEnd);
    socket.off("error", this.onError);
    socket.off("close", this.onClose);
    this.phase = "gone";
    this.share.left(this);
    socket.pause();
    socket.unshift(this.input.subarray(this.at));
    this.input = EMPTY;
    this.at = 0;
    accept(socket);
  }

  // ---- out

  get waiting(): number {
    return this.output.waiting;
  }

  put(piece: string | Uint8Array): void {
    this.output.add(piece);
  }

  flushSoon(): void {
    this.share.flushSoon(this);
  }

  /** The end of a tick in which something was written to a stream. */
  flush(): void {
    this.reply?.flushPieces();
    this.output.flush();
    // The kernel took all of it at once: there will be no "drain".
    if (this.waiters.length > 0 && this.output.waiting === 0) this.wake();
  }

  whenDrained(): Promise<void> {
    this.share.flushSoon(this);
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  commonLines(close: boolean): string {
    if (close || this.share.draining) this.closing = true;
    return this.closing ? `${this.share.dateLine}connection: close\r\n` : this.share.dateLine;
  }

  finished(reply: Reply, close: boolean): void {
    if (this.reply !== reply) return;
    this.reply = undefined;
    this.share.done();
    if (close || this.closing || this.share.draining) {
      this.output.flush();
      this.linger();
      return;
    }
    this.phase = "idle";
    this.deadlineMs = this.share.deadlineIn(this.share.idleTimeoutMs);
    if (this.pumping) return;
    if (this.socket.isPaused()) this.socket.resume();
    this.pump();
  }

  cut(): void {
    this.output.flush();
    this.socket.destroy();
  }

  private linger(): void {
    this.phase = "lingering";
    this.input = EMPTY;
    this.at = 0;
    this.deadlineMs = 0;
    this.body.take();
    if (this.socket.isPaused()) this.socket.resume();
    this.endWhenSent();
  }

  private endWhenSent(): void {
    if (this.phase === "gone") return;
    if (this.output.queued > 0) {
      this.socket.once("drain", () => this.endWhenSent());
      return;
    }
    this.socket.end(() => {
      this.deadlineMs = this.share.deadlineIn(LINGER_MS);
    });
  }

  private refuse(status: number, reason: Reason, message: string): void {
    if (this.phase === "body") this.share.done();
    this.request = undefined;
    this.decoder = undefined;
    const { headers, body } = this.share.onBadRequest(status, reason, message);
    const payload = typeof body === "string" ? Buffer.from(body) : body;
    this.output.add(
      `${statusLine(status)}${headers}${this.share.dateLine}connection: close\r\ncontent-length: ${payload.length}\r\n\r\n`,
    );
    this.output.add(payload);
    this.output.flush();
    this.linger();
  }

  // ---- time

  /** Called by the server's sweep. */
  check(nowMs: number): void {
    if (this.socket.writableLength === 0) {
      this.stalledSinceMs = 0;
    } else {
      const takenBytes = this.socket.bytesWritten - this.socket.writableLength;
      if (this.stalledSinceMs === 0 || takenBytes !== this.takenBytes) {
        this.takenBytes = takenBytes;
        this.stalledSinceMs = nowMs;
      } else if (nowMs - this.stalledSinceMs > this.share.stalledMs) {
        this.socket.destroy();
        return;
      }
    }
    if (this.deadlineMs === 0 || nowMs < this.deadlineMs) return;
    if (this.phase === "head" || this.phase === "body") {
      this.refuse(408, "request_timeout", "the request did not arrive in time");
    } else {
      this.socket.destroy();
    }
  }

  /** Ends a connection that has no request in flight. */
  endIfIdle(): void {
    if (this.phase === "idle") this.linger();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
