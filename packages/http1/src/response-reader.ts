import { ChunkedDecoder } from "./chunked.ts";
import { HttpSyntaxError } from "./errors.ts";
import { findHeadEnd, ParsedResponse } from "./head.ts";

export interface ResponseEvents {
  head(response: ParsedResponse): void;
  data(chunk: Buffer): void;
  /** `reusable`: the connection may carry another request. */
  end(reusable: boolean): void;
}

const EMPTY = Buffer.alloc(0);

/**
 * Makes one response after the other of the bytes of a connection. Throws HttpSyntaxError for what is none, bytes after an end included.
 * It stops at once when an event stops it.
 */
export class ResponseReader {
  private state: "stopped" | "head" | "length" | "chunked" | "until-close" = "stopped";
  private readonly events: ResponseEvents;
  private readonly maxHeadBytes: number;
  private input: Buffer = EMPTY;
  private left = 0;
  private decoder: ChunkedDecoder | undefined;
  private bodyless = false;
  private reusable = true;

  constructor(events: ResponseEvents, maxHeadBytes: number) {
    this.events = events;
    this.maxHeadBytes = maxHeadBytes;
  }

  get reading(): boolean {
    return this.state !== "stopped";
  }

  /** No byte of the response's body has been asked for yet: its head has not come. */
  get beforeHead(): boolean {
    return this.state === "head";
  }

  /** A request of this method was sent. */
  expect(method: string): void {
    this.state = "head";
    this.bodyless = method === "HEAD";
  }

  stop(): void {
    this.state = "stopped";
    this.input = EMPTY;
    this.decoder = undefined;
  }

  feed(chunk: Buffer): void {
    switch (this.state) {
      case "head":
        this.readHeads(chunk);
        return;
      case "length":
        this.readLength(chunk, 0);
        return;
      case "chunked":
        this.readChunked(chunk, 0);
        return;
      case "until-close":
        this.events.data(chunk);
        return;
      case "stopped":
        throw new HttpSyntaxError("bytes that nobody asked for");
    }
  }

  /** The peer closed its side. True if that was the proper end of a response. */
  finish(): boolean {
    if (this.state !== "until-close") return false;
    this.complete(false);
    return true;
  }

  private readHeads(chunk: Buffer): void {
    const before = this.input.length;
    const input = before === 0 ? chunk : Buffer.concat([this.input, chunk]);
    let from = 0;
    for (;;) {
      const end = findHeadEnd(input, from === 0 ? Math.max(0, before - 3) : from);
      if ((end < 0 ? input.length : end) - from > this.maxHeadBytes) throw new HttpSyntaxError("headers too large");
      if (end < 0) break;
      const response = new ParsedResponse(input, from, end);
      from = end + 4;
      if (response.status >= 200) {
        this.input = EMPTY;
        this.begin(response, input, from);
        return;
      }
      // 1xx announce the response; a switch of protocols was never asked for.
      if (response.status === 101) throw new HttpSyntaxError("a switch of protocols that nobody asked for");
    }
    this.input = from === 0 ? input : input.subarray(from);
  }

  private begin(response: ParsedResponse, input: Buffer, from: number): void {
    this.reusable = !response.close;
    const empty = this.bodyless || response.status === 204 || response.status === 304;
    this.left = empty ? 0 : response.contentLength;
    if (this.left >= 0) this.state = "length";
    else if (response.chunked) this.state = "chunked";
    else this.state = "until-close";
    this.decoder = this.state === "chunked" ? new ChunkedDecoder() : undefined;
    const { state } = this;
    this.events.head(response);
    if (this.state !== state) return;
    if (state === "length") this.readLength(input, from);
    else if (state === "chunked") this.readChunked(input, from);
    else if (from < input.length) this.events.data(input.subarray(from));
  }

  private readLength(bytes: Buffer, from: number): void {
    const arrived = bytes.length - from;
    if (arrived > this.left) throw new HttpSyntaxError("bytes after the end");
    this.left -= arrived;
    if (arrived > 0) this.events.data(from === 0 ? bytes : bytes.subarray(from));
    if (this.left === 0 && this.state === "length") this.complete(this.reusable);
  }

  private readChunked(bytes: Buffer, from: number): void {
    const { decoder } = this;
    if (decoder === undefined) return;
    const end = decoder.feed(bytes, from, this.takeChunk);
    if (end < 0 || this.decoder !== decoder) return;
    if (end < bytes.length) throw new HttpSyntaxError("bytes after the end");
    this.complete(this.reusable);
  }

  private readonly takeChunk = (bytes: Buffer, start: number, end: number): void => {
    if (this.state === "chunked") this.events.data(bytes.subarray(start, end));
  };

  private complete(reusable: boolean): void {
    this.stop();
    this.events.end(reusable);
  }
}
