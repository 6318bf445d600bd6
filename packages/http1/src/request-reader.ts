import type { BodyRoom } from "./body-room.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { HttpSyntaxError } from "./errors.ts";
import { Gather } from "./gather.ts";
import { findHeadEnd, ParsedRequest } from "./head.ts";

export interface ReaderLimits {
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
}

export interface ReaderOwner {
  readonly remoteAddress: string;
  /** A head has been read, its body has not: false leaves both in the reader, as somebody else will take them. */
  accept(request: ParsedRequest): boolean;
}

const EMPTY = Buffer.alloc(0);
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");

/** Makes requests of the bytes of a connection. Everything throws HttpSyntaxError for what is none; the reader is then of no more use. */
export class RequestReader {
  private readonly limits: ReaderLimits;
  private readonly owner: ReaderOwner;
  private readonly room: BodyRoom;
  private input: Buffer = EMPTY;
  /** Where in the input the current head or body goes on. */
  private at = 0;
  /** Up to where no end of a head was found. */
  private scanned = 0;
  private request: ParsedRequest | undefined;
  private decoder: ChunkedDecoder | undefined;
  private readonly body = new Gather();

  constructor(limits: ReaderLimits, owner: ReaderOwner, room: BodyRoom) {
    this.limits = limits;
    this.owner = owner;
    this.room = room;
  }

  /** Bytes that were not read yet. */
  get buffered(): number {
    return this.input.length - this.at;
  }

  push(chunk: Buffer): void {
    if (this.at === this.input.length) {
      this.input = chunk;
      this.scanned = 0;
    } else {
      // Only heads come here, and what was read ahead: both are short.
      this.scanned = Math.max(0, this.scanned - this.at);
      this.input = Buffer.concat([this.input.subarray(this.at), chunk]);
    }
    this.at = 0;
  }

  /** Whether the connection begins with an HTTP/2 preface; undefined: it may, there are too few bytes to tell. */
  beginsHttp2(): boolean | undefined {
    const length = Math.min(this.input.length, PREFACE.length);
    if (PREFACE.compare(this.input, 0, length, 0, length) !== 0) return false;
    return length === PREFACE.length ? true : undefined;
  }

  /** The next whole request, or undefined if there is none yet. */
  next(): ParsedRequest | undefined {
    this.request ??= this.readHead();
    const { request } = this;
    if (request === undefined || !this.readBody(request)) return undefined;
    this.request = undefined;
    return request;
  }

  private readHead(): ParsedRequest | undefined {
    if (this.at === this.input.length) return undefined;
    // One empty line before a request is ignored (RFC 9112 §2.2).
    const from = this.input[this.at] === 13 && this.input[this.at + 1] === 10 ? this.at + 2 : this.at;
    const end = findHeadEnd(this.input, Math.max(from, this.scanned));
    if ((end < 0 ? this.input.length : end) - from > this.limits.maxHeadBytes) {
      throw new HttpSyntaxError("the request's headers are too large", 431, "headers_too_large");
    }
    if (end < 0) {
      this.scanned = Math.max(from, this.input.length - 3);
      return undefined;
    }
    const request = new ParsedRequest(this.input, from, end, this.owner);
    if (!this.owner.accept(request)) return undefined;
    this.at = end + 4;
    this.scanned = this.at;
    if (request.contentLength > this.limits.maxBodyBytes) this.tooLarge();
    if (request.chunked) this.decoder = new ChunkedDecoder();
    return request;
  }

  private tooLarge(): never {
    throw new HttpSyntaxError(
      `the body is larger than ${this.limits.maxBodyBytes} bytes, the most that is accepted`,
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
    } else if (request.contentLength > 0) {
      const missing = request.contentLength - this.body.length;
      const taken = Math.min(missing, this.input.length - this.at);
      if (taken > 0) this.room.take(taken);
      this.body.append(this.input, this.at, this.at + taken);
      this.at += taken;
      if (taken < missing) return false;
      request.body = this.body.take();
    }
    this.scanned = this.at;
    return true;
  }

  private readonly takeChunk = (bytes: Buffer, start: number, end: number): void => {
    if (this.body.length + end - start > this.limits.maxBodyBytes) this.tooLarge();
    this.room.take(end - start);
    this.body.append(bytes, start, end);
  };

  /** Everything from the message that was not accepted on; forgets it. */
  takeRest(): Buffer {
    const rest = this.input.subarray(this.at);
    this.clear();
    return rest;
  }

  clear(): void {
    this.input = EMPTY;
    this.at = 0;
    this.request = undefined;
    this.decoder = undefined;
    this.body.take();
  }
}
