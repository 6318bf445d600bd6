import type { Reason } from "@weir/kernel";

/** Bytes that are no HTTP/1.1 message, or one that two readers could read in two ways. The connection cannot be used any more. */
export class HttpSyntaxError extends Error {
  override readonly name = "HttpSyntaxError";
  /** What a server answers: 400, 413, 417, 431, 501, 505. */
  readonly status: number;
  readonly reason: Reason;

  constructor(message: string, status = 400, reason: Reason = "invalid_request") {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export type HttpClientErrorKind =
  /** No connection: refused, unreachable, unknown host, TLS failure. */
  | "connect"
  /** No connection in `connectMs`, waiting for a free one included. */
  | "timeout-connect"
  /** No response head in `firstByteMs` after the request was written. */
  | "timeout-first-byte"
  /** Nothing for `idleMs` in the middle of a response. */
  | "timeout-idle"
  /** The connection broke, or the peer closed it before the response was whole. */
  | "reset"
  /** The response is not one that can be read in exactly one way. */
  | "protocol"
  | "cancelled"
  /** Every connection is in use and the queue is full. */
  | "too-many";

export class HttpClientError extends Error {
  override readonly name = "HttpClientError";
  readonly kind: HttpClientErrorKind;
  /** Whether any byte of the request may have reached the peer: if false, it is safe to send it again anywhere. */
  readonly sent: boolean;

  constructor(kind: HttpClientErrorKind, message: string, sent: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.sent = sent;
  }
}
