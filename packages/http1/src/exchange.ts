import type { ClientConnection } from "./client-connection.ts";
import { HttpClientError, type HttpClientErrorKind } from "./errors.ts";
import type { ClientRequest, Exchange, ResponseHeaders, ResponseSink } from "./types.ts";

/** What an exchange needs of its pool. */
export interface Assigner {
  readonly nowMs: number;
  assign(exchange: PendingExchange, fresh: boolean): void;
}

/** One request on its way: through the queue, over a connection, perhaps over a second one. Ends its sink exactly once. */
export class PendingExchange implements Exchange {
  readonly request: ClientRequest;
  over = false;
  /** Some byte may have reached the peer. */
  sent = false;
  connection: ClientConnection | undefined;
  private readonly sink: ResponseSink;
  private readonly pool: Assigner;
  private readonly startedMs: number;
  private retried = false;
  private answered = false;
  private paused = false;

  constructor(request: ClientRequest, sink: ResponseSink, pool: Assigner) {
    this.request = request;
    this.sink = sink;
    this.pool = pool;
    this.startedMs = pool.nowMs;
  }

  listen(): void {
    this.request.signal?.addEventListener("abort", this.onAbort);
  }

  private readonly onAbort = (): void => this.cancel();

  // ---- for the caller

  cancel(): void {
    this.failWith("cancelled", "the request was cancelled");
  }

  pause(): void {
    if (this.over || this.paused) return;
    this.paused = true;
    this.connection?.pause();
  }

  resume(): void {
    if (this.over || !this.paused) return;
    this.paused = false;
    this.connection?.resume();
  }

  // ---- for the connection

  get isPaused(): boolean {
    return this.paused;
  }

  head(status: number, headers: ResponseHeaders): void {
    this.answered = true;
    this.sink.head(status, headers);
  }

  data(chunk: Buffer): void {
    this.sink.data(chunk);
  }

  end(): void {
    if (this.over) return;
    this.finish();
    this.sink.end();
  }

  /** The connection went away under it. `reused`: it had carried others before, so it may just have been closed as idle. */
  lost(error: HttpClientError, reused: boolean): void {
    this.connection = undefined;
    if (this.over) return;
    if (reused && error.kind === "reset" && !this.answered && !this.retried && this.request.retryStale === true) {
      this.retried = true;
      this.pool.assign(this, true);
      return;
    }
    this.fail(error);
  }

  fail(error: HttpClientError): void {
    if (this.over) return;
    this.finish();
    this.sink.error(error);
  }

  /** In the queue or connecting. */
  checkConnect(nowMs: number): void {
    const { connectMs } = this.request;
    if (connectMs > 0 && nowMs - this.startedMs > connectMs) {
      this.failWith("timeout-connect", `no connection within ${connectMs} ms`);
    }
  }

  /** Connected, and waiting for `waitedMs`. */
  checkRead(waitedMs: number, beforeHead: boolean): void {
    const { firstByteMs, idleMs } = this.request;
    if (beforeHead) {
      if (firstByteMs > 0 && waitedMs > firstByteMs) {
        this.failWith("timeout-first-byte", `no response within ${firstByteMs} ms`);
      }
    } else if (idleMs > 0 && waitedMs > idleMs) {
      this.failWith("timeout-idle", `nothing more of the response within ${idleMs} ms`);
    }
  }

  failWith(kind: HttpClientErrorKind, message: string): void {
    if (this.over) return;
    const { connection } = this;
    const error = new HttpClientError(kind, message, this.sent);
    this.finish();
    connection?.abandon();
    this.sink.error(error);
  }

  private finish(): void {
    this.over = true;
    this.connection = undefined;
    this.request.signal?.removeEventListener("abort", this.onAbort);
  }
}
