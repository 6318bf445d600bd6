import type { HttpReply } from "./types.ts";

/** The side of a connection that a reply writes to. */
export interface ReplyChannel {
  readonly waiting: number;
  put(piece: string | Uint8Array): void;
  /** Writes out at the end of the tick. */
  flushSoon(): void;
  whenDrained(): Promise<void>;
  /** The answer is complete. */
  finished(reply: Reply): void;
  cut(): void;
  /** Lines that every head of now ends with: date, and `connection: close` if this is the last answer (`close`: it has to be). */
  commonLines(close: boolean): string;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  417: "Expectation Failed",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

const statusLine = (status: number): string => `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ""}\r\n`;

/** From here on `write` asks to wait. */
const HIGH_WATER_BYTES = 131_072;

const bytesOf = (chunk: Uint8Array | string): Uint8Array => (typeof chunk === "string" ? Buffer.from(chunk) : chunk);

/** An answer in one piece, of lines that are complete but for the framing. */
export function wholeAnswer(status: number, lines: string, body: Uint8Array | string): [string, Uint8Array] {
  const payload = bytesOf(body);
  return [`${statusLine(status)}${lines}content-length: ${payload.length}\r\n\r\n`, payload];
}

export class Reply implements HttpReply {
  closed = false;
  /** The head was given out: it is too late for another answer. */
  started = false;
  private readonly channel: ReplyChannel;
  private readonly bodyless: boolean;
  private readonly chunkedAllowed: boolean;
  private readonly lastOfConnection: boolean;
  private ended = false;
  private framing: "chunked" | "close" | "none" = "none";
  private pieces: Uint8Array[] = [];
  private bytes = 0;
  private onGone: (() => void) | undefined;

  constructor(channel: ReplyChannel, method: string, http10: boolean, close: boolean) {
    this.channel = channel;
    this.bodyless = method === "HEAD";
    this.chunkedAllowed = !http10;
    this.lastOfConnection = close || http10;
  }

  send(status: number, headers: string, body: Uint8Array | string): void {
    if (this.closed) return;
    this.begin();
    this.ended = true;
    const payload = bytesOf(body);
    const empty = status === 204 || status === 304;
    const common = this.channel.commonLines(this.lastOfConnection);
    const length = empty ? "" : `content-length: ${payload.length}\r\n`;
    this.channel.put(`${statusLine(status)}${headers}${common}${length}\r\n`);
    if (!empty && !this.bodyless && payload.length > 0) this.channel.put(payload);
    this.channel.finished(this);
  }

  start(status: number, headers: string): void {
    if (this.closed) return;
    this.begin();
    const empty = status === 204 || status === 304 || this.bodyless;
    this.framing = this.chunkedAllowed ? "chunked" : "close";
    const common = this.channel.commonLines(this.lastOfConnection);
    const coding = this.framing === "chunked" && status !== 204 ? "transfer-encoding: chunked\r\n" : "";
    this.channel.put(`${statusLine(status)}${headers}${common}${coding}\r\n`);
    if (empty) this.framing = "none";
    this.channel.flushSoon();
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.closed) return false;
    if (!this.started || this.ended) throw new TypeError("write() belongs between start() and end()");
    const payload = bytesOf(chunk);
    if (payload.length > 0 && this.framing !== "none") {
      this.pieces.push(payload);
      this.bytes += payload.length;
      this.channel.flushSoon();
    }
    return this.bytes + this.channel.waiting < HIGH_WATER_BYTES;
  }

  drained(): Promise<void> {
    return this.closed ? Promise.resolve() : this.channel.whenDrained();
  }

  end(last?: Uint8Array | string): void {
    if (this.closed) return;
    if (last !== undefined) this.write(last);
    if (!this.started || this.ended) throw new TypeError("end() belongs after start(), once");
    this.flushPieces();
    this.ended = true;
    if (this.framing === "chunked") this.channel.put("0\r\n\r\n");
    this.channel.finished(this);
  }

  abort(): void {
    if (!this.closed && !this.ended) this.channel.cut();
  }

  onClose(callback: () => void): void {
    if (this.ended) return;
    if (this.closed) callback();
    else this.onGone = callback;
  }

  /** What was written since the last flush becomes one chunk. */
  flushPieces(): void {
    if (this.bytes === 0) return;
    const framed = this.framing === "chunked";
    if (framed) this.channel.put(`${this.bytes.toString(16)}\r\n`);
    for (const piece of this.pieces) this.channel.put(piece);
    if (framed) this.channel.put("\r\n");
    this.pieces.length = 0;
    this.bytes = 0;
  }

  /** The connection is gone; tells the handler unless its answer was complete. */
  gone(): void {
    if (this.closed) return;
    this.closed = true;
    const callback = this.onGone;
    this.onGone = undefined;
    this.pieces.length = 0;
    if (!this.ended) callback?.();
  }

  private begin(): void {
    if (this.started) throw new TypeError("this request was answered already");
    this.started = true;
  }
}
