import type { LookupFunction, Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { Reason } from "@weir/kernel";
import type { HttpClientError } from "./errors.ts";

/** Where to listen or to connect: TCP (port 0: any free one) or a Unix socket. */
export type HttpAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface RequestHead {
  readonly method: string;
  /** As it stood in the request line: origin form, absolute form or `*`. */
  readonly target: string;
  /** Of the target, without origin and query; not decoded. */
  readonly path: string;
  /** What follows `?`, without it; not decoded. */
  readonly query: string;
  readonly remoteAddress: string;
  /** The value of a field by its name in lower case; several of one name are joined by ", " (RFC 9110 §5.3). */
  header(lower: string): string | undefined;
  /** Bytes of the body, as announced; -1: none were (there is none, or it is chunked). */
  readonly contentLength: number;
  readonly chunked: boolean;
  /** The fields as they came, in order: `Name: value`. */
  readonly headerLines: readonly string[];
}

export interface HttpRequest extends RequestHead {
  /** The whole body; stays valid. */
  readonly body: Buffer;
}

/**
 * The answer to one request: either one `send`, or `start`, any number of `write`, `end`.
 * Once the client is gone (`closed`), everything is ignored. Headers are rendered lines, made of constants and `headerLine`:
 * "name: value\r\n" each, without content-length, transfer-encoding, connection and date, which are added.
 */
export interface HttpReply {
  send(status: number, headers: string, body: Uint8Array | string): void;
  start(status: number, headers: string): void;
  /** Adds to the stream; what is written in one tick leaves in one piece. False: wait for `drained()` before writing more. */
  write(chunk: Uint8Array | string): boolean;
  /** Resolves when there is room again, or the client is gone. */
  drained(): Promise<void>;
  end(last?: Uint8Array | string): void;
  /** Cuts the connection without a proper end, so that the client cannot take what it has for the whole. */
  abort(): void;
  /** The client is gone. */
  readonly closed: boolean;
  /** Called at most once, if the client leaves before `end` or `send`; at once if it is gone already. */
  onClose(callback: () => void): void;
}

export type HttpHandler = (request: HttpRequest, reply: HttpReply) => void;

export interface RenderedError {
  /** Lines as in HttpReply. */
  readonly headers: string;
  readonly body: Uint8Array | string;
}

/**
 * Looks at a request before its body is read. Returns the answer, after which the connection closes, or undefined to go on: so that who
 * may not ask cannot make the server hold a body. MUST NOT throw.
 */
export type CheckHead = (head: RequestHead) => (RenderedError & { readonly status: number }) | undefined;

/**
 * Looks at what arrives before it is read: undefined head = an HTTP/2 preface. Returns who takes the connection over, with all its bytes
 * from this message on, or undefined to keep it.
 */
export type Divert = (head: RequestHead | undefined) => ((socket: Socket) => void) | undefined;

export interface HttpServerOptions {
  readonly listen: HttpAddress;
  /** Default 16 KiB. */
  readonly maxHeadBytes?: number;
  /** Default 32 MiB. */
  readonly maxBodyBytes?: number;
  /**
   * Of all requests together, from their first byte of body until they are answered. A request for whose announced body there is no room is
   * refused before any of it is read, one for which there is none any more in the middle of it: 503, and the connection closes. Default 1 GiB.
   */
  readonly maxBufferedBytes?: number;
  /** From the first byte of a head to its last. Default 10 s. */
  readonly headTimeoutMs?: number;
  /** From the first byte of a request to its last, head and body together. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** Of a connection between requests. Longer than that of every client, so that a connection is rarely closed under a request. Default 75 s. */
  readonly idleTimeoutMs?: number;
  /** How long a client may take nothing of what is waiting for it. Default 30 s. */
  readonly stalledMs?: number;
  /** More are closed as they come. Default 65,536. */
  readonly maxConnections?: number;
  /** Renders the answer to what is no request; the connection closes after it. */
  readonly onBadRequest: (status: number, reason: Reason, message: string) => RenderedError;
  /** A handler threw: its bug. The client got a 500, or a cut stream. Without it the error is thrown as uncaught. */
  readonly onHandlerError?: (error: unknown) => void;
  readonly divert?: Divert;
  readonly checkHead?: CheckHead;
}

export interface HttpServer extends AsyncDisposable {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Requests being read or answered. */
  readonly inFlight: number;
  /** Bytes of bodies of requests that are being read or answered. */
  readonly bufferedBytes: number;
  /** From now on a connection ends with its answer (`connection: close`); more are accepted all the same. */
  retire(): void;
  /** Stops accepting, answers what is in flight (with `connection: close`), cuts what is left after `drainMs`. */
  close(drainMs: number): Promise<void>;
}

export interface ResponseHeaders {
  get(lower: string): string | undefined;
  readonly lines: readonly string[];
}

/** Gets one response: `head`, any `data`, then exactly one of `end` and `error`; after an error nothing. */
export interface ResponseSink {
  head(status: number, headers: ResponseHeaders): void;
  data(chunk: Buffer): void;
  end(): void;
  error(error: HttpClientError): void;
}

export interface ClientRequest {
  readonly method: string;
  /** Origin form: path and query. */
  readonly path: string;
  /** Rendered lines, "name: value\r\n" each, made of constants and `headerLine`; host and content-length are added. */
  readonly headers: string;
  readonly body?: Uint8Array;
  /** Milliseconds; 0: no limit. Accurate to the client's sweep (50 ms). */
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly idleMs: number;
  readonly signal?: AbortSignal;
  /**
   * Sends it once more on a new connection if a reused one turned out to be closed before any byte of a response. The peer may have
   * worked on it, if it died just then: only for what may be done twice.
   */
  readonly retryStale?: boolean;
}

export interface Exchange {
  /** Ends it with the error "cancelled" if it is still going on. */
  cancel(): void;
  /** Stops reading; up to one read of the socket may still arrive. No idle timeout meanwhile. */
  pause(): void;
  resume(): void;
}

export interface HttpClientOptions {
  readonly maxConnections: number;
  /** Requests that wait for a connection. Default 1024. */
  readonly maxQueued?: number;
  /** Of a pooled connection; shorter than the server's. Default 15 s; a shorter `keep-alive: timeout=` of the server counts. */
  readonly idleTimeoutMs?: number;
  /** Default 64 KiB. */
  readonly maxHeadBytes?: number;
  readonly tls?: ConnectionOptions;
  /** Resolves the host's name; refuses addresses that must not be reached. */
  readonly lookup?: LookupFunction;
}

export interface HttpClient extends AsyncDisposable {
  request(request: ClientRequest, sink: ResponseSink): Exchange;
  readonly connections: number;
  /** Closes the connections that carry nothing: the next request makes a new one, which looks the host's name up again. */
  closeIdle(): void;
  /** Breaks all connections: what they carry ends with the error "reset". */
  cut(): void;
}
