import type { Socket } from "node:net";
import type { Reason } from "@weir/kernel";
import { BodyRoom } from "./body-room.ts";
import { HttpSyntaxError } from "./errors.ts";
import type { ParsedRequest } from "./head.ts";
import { Output } from "./output.ts";
import type { Phase } from "./phase.ts";
import { Reply, type ReplyChannel, wholeAnswer } from "./reply.ts";
import { type ReaderOwner, RequestReader } from "./request-reader.ts";
import { IDLE_GRACE_MS, type ServerShare } from "./server-share.ts";
import { StallWatch } from "./stall-watch.ts";
import type { RenderedError } from "./types.ts";
import { Waiters } from "./waiters.ts";

/** More than this of pipelined requests is not read ahead. */
const READ_AHEAD_BYTES = 65_536;
const LINGER_MS = 1_000;

/** One connection of a server: requests in, one at a time and in order; answers out. */
export class Connection implements ReplyChannel, ReaderOwner {
  private readonly share: ServerShare;
  private readonly socket: Socket;
  private readonly output: Output;
  private readonly reader: RequestReader;
  private readonly stall: StallWatch;
  private phase: Phase = "idle";
  private reply: Reply | undefined;
  private pumping = false;
  private closing = false;
  private untouched = true;
  private deadlineMs: number;
  /** Of the request that is being read. */
  private requestDeadlineMs = 0;
  private readonly room: BodyRoom;
  private readonly waiters = new Waiters();
  private peerAddress: string | undefined;

  constructor(socket: Socket, share: ServerShare) {
    this.socket = socket;
    this.share = share;
    this.output = new Output(socket);
    this.room = new BodyRoom(share);
    this.reader = new RequestReader(share, this, this.room);
    this.stall = new StallWatch(socket);
    // The first request has to begin as soon as a head has to end.
    this.deadlineMs = share.deadlineIn(Math.min(share.headTimeoutMs, share.idleTimeoutMs));
    socket.on("data", this.onData);
    socket.on("drain", this.onDrain);
    socket.on("end", this.onEnd);
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
    this.reader.push(chunk);
    if (this.phase !== "busy") this.pump();
    else if (this.reader.buffered > READ_AHEAD_BYTES) this.socket.pause();
  };

  private readonly onDrain = (): void => {
    this.output.advance();
    this.wakeIfRoom();
  };

  private readonly onEnd = (): void => {
    // A client that closes its side while it is owed an answer has given up on it. Else what was written still leaves, then it ends.
    if (this.phase !== "idle" && this.phase !== "lingering") this.socket.destroy();
  };

  /** "close" follows and says all there is to say: the peer is gone. */
  private readonly onError = (): void => {
    this.socket.destroy();
  };

  private readonly onClose = (): void => {
    const owed = this.phase === "busy" || this.phase === "body";
    this.phase = "gone";
    this.room.release();
    this.reader.clear();
    this.share.left(this);
    const { reply } = this;
    this.reply = undefined;
    this.waiters.wake();
    reply?.gone();
    if (owed) this.share.done();
  };

  /** Handles what has arrived, as far as it goes. A loop, as a thousand pipelined requests must not nest. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while ((this.phase === "idle" || this.phase === "head" || this.phase === "body") && this.readOne());
    } catch (error) {
      if (!(error instanceof HttpSyntaxError)) throw error;
      this.refuse(error.status, error.reason, error.message);
    } finally {
      this.pumping = false;
    }
    this.output.flush();
  }

  private readOne(): boolean {
    if (this.phase === "idle") {
      if (this.reader.buffered === 0) return false;
      this.phase = "head";
      this.deadlineMs = this.share.deadlineIn(this.share.headTimeoutMs);
      this.requestDeadlineMs = this.share.deadlineIn(this.share.requestTimeoutMs);
    }
    if (this.untouched && this.share.divert !== undefined) {
      const http2 = this.reader.beginsHttp2();
      if (http2 === undefined) return false;
      if (http2 && this.handOver(this.share.divert(undefined))) return false;
    }
    const request = this.reader.next();
    if (request === undefined) return false;
    this.dispatch(request);
    return true;
  }

  accept(request: ParsedRequest): boolean {
    if (this.handOver(this.share.divert?.(request))) return false;
    this.untouched = false;
    const refusal = this.share.checkHead?.(request);
    if (refusal !== undefined) {
      this.endWith(refusal.status, refusal);
      return false;
    }
    // A body that is too large by itself is told so, below.
    if (request.contentLength <= this.share.maxBodyBytes) this.room.check(request.contentLength);
    this.phase = "body";
    this.share.begun();
    this.deadlineMs = this.requestDeadlineMs;
    if (request.awaitsContinue && request.contentLength <= this.share.maxBodyBytes) {
      this.output.add("HTTP/1.1 100 Continue\r\n\r\n");
      this.output.flush();
    }
    return true;
  }

  private dispatch(request: ParsedRequest): void {
    this.phase = "busy";
    this.deadlineMs = 0;
    const reply = new Reply(this, request.method, request.http10, request.close);
    this.reply = reply;
    try {
      this.share.handler(request, reply);
    } catch (error) {
      if (reply.started) {
        reply.abort();
      } else {
        const { headers, body } = this.share.onBadRequest(500, "internal", "internal error");
        reply.send(500, headers, body);
      }
      const { onHandlerError } = this.share;
      if (onHandlerError === undefined) throw error;
      onHandlerError(error);
    }
  }

  private handOver(accept: ((socket: Socket) => void) | undefined): boolean {
    if (accept === undefined) return false;
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
    socket.unshift(this.reader.takeRest());
    accept(socket);
    return true;
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
    this.wakeIfRoom();
  }

  whenDrained(): Promise<void> {
    this.share.flushSoon(this);
    return this.waiters.join();
  }

  /** Above the socket's high-water mark there will be a "drain"; below it there may be none. */
  private wakeIfRoom(): void {
    if (this.waiters.any && this.output.waiting < this.socket.writableHighWaterMark) this.waiters.wake();
  }

  commonLines(close: boolean): string {
    if (close || this.share.draining) this.closing = true;
    return this.closing ? `${this.share.dateLine}connection: close\r\n` : this.share.dateLine;
  }

  finished(reply: Reply): void {
    if (this.reply !== reply) return;
    this.reply = undefined;
    this.room.release();
    this.share.done();
    if (this.closing) {
      this.output.flush();
      this.linger();
      return;
    }
    this.phase = "idle";
    // Also while draining, where the answer's head was older than that and said nothing of an end: the next request may be on its way already.
    this.deadlineMs = this.share.deadlineIn(this.share.draining ? IDLE_GRACE_MS : this.share.idleTimeoutMs);
    if (this.socket.isPaused()) this.socket.resume();
    this.pump();
  }

  cut(): void {
    this.output.flush();
    this.socket.destroy();
  }

  private refuse(status: number, reason: Reason, message: string): void {
    if (this.phase === "body") this.share.done();
    this.endWith(status, this.share.onBadRequest(status, reason, message));
  }

  /** The last answer of the connection. */
  private endWith(status: number, { headers, body }: RenderedError): void {
    for (const piece of wholeAnswer(status, headers + this.commonLines(true), body)) this.output.add(piece);
    this.output.flush();
    this.linger();
  }

  private linger(): void {
    this.phase = "lingering";
    this.deadlineMs = 0;
    this.reader.clear();
    this.room.release();
    if (this.socket.isPaused()) this.socket.resume();
    this.endWhenSent();
  }

  private endWhenSent(): void {
    if (this.output.queued > 0) {
      this.socket.once("drain", () => this.endWhenSent());
      return;
    }
    this.socket.end(() => {
      this.deadlineMs = this.share.deadlineIn(LINGER_MS);
    });
  }

  // ---- time

  /** Called by the server's sweep. */
  check(nowMs: number): void {
    if (this.stall.durationMs(nowMs) > this.share.stalledMs) {
      this.socket.destroy();
    } else if (this.deadlineMs > 0 && nowMs >= this.deadlineMs) {
      if (this.phase === "head" || this.phase === "body") {
        this.refuse(408, "request_timeout", "the request did not arrive in time");
      } else {
        this.socket.destroy();
      }
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
