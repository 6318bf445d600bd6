import { HttpSyntaxError } from "./errors.ts";
import type { RequestHead, ResponseHeaders } from "./types.ts";

/**
 * Heads of HTTP/1.1 messages (RFC 9112), read strictly: what two implementations could read in two ways is refused, as that is what
 * request smuggling is made of. One pass over the bytes checks every one of them.
 */

const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1;
}
// field-vchar, obs-text, SP and HTAB: no other control character, so neither bare CR nor bare LF nor NUL.
const TEXT = new Uint8Array(256).fill(1, 0x20);
TEXT[0x7f] = 0;
TEXT[0x09] = 1;
const VISIBLE = new Uint8Array(256).fill(1, 0x21, 0x7f);
VISIBLE["#".charCodeAt(0)] = 0;

const CR = 13;
const LF = 10;
const COLON = 58;
const HEAD_END = Buffer.from("\r\n\r\n");

/** Index of the empty line that ends a head, or -1. */
export const findHeadEnd = (bytes: Buffer, from: number): number => bytes.indexOf(HEAD_END, from);

const isOws = (code: number): boolean => code === 0x20 || code === 0x09;

/** The value of a field line from `from` on. Only SP and HTAB go: `String.trim` would take off more, such as NBSP. */
export function fieldValue(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isOws(line.charCodeAt(start))) start++;
  while (end > start && isOws(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isNamed(line: string, lower: string): boolean {
  const length = lower.length;
  if (line.charCodeAt(length) !== COLON) return false;
  for (let index = 0; index < length; index++) {
    const code = line.charCodeAt(index);
    if ((code >= 65 && code <= 90 ? code | 0x20 : code) !== lower.charCodeAt(index)) return false;
  }
  return true;
}

/** All values of a field, joined by ", " (RFC 9110 §5.3). */
export function lookUp(lines: readonly string[], lower: string): string | undefined {
  let found: string | undefined;
  for (const line of lines) {
    if (!isNamed(line, lower)) continue;
    const value = fieldValue(line, lower.length + 1);
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/** "name: value\r\n", checked. @throws TypeError if it would not be exactly one field line. */
export function headerLine(name: string, value: string): string {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
    throw new TypeError(`not a header that can be sent: ${JSON.stringify(name)}`);
  }
  return `${name}: ${value}\r\n`;
}

class Fields {
  readonly lines: string[] = [];
  /** -1: none. */
  contentLength = -1;
  chunked = false;
  close = false;
  hosts = 0;
  expect: string | undefined;
  /** Of `keep-alive: timeout=`; -1: none. */
  keepAliveSeconds = -1;

  /** Reads the lines of `bytes` from `from` to `end`; `text` is the same in latin1, from `textAt` on. */
  protected read(bytes: Buffer, from: number, end: number, text: string, textAt: number): void {
    let at = from;
    while (at < end) {
      const start = at;
      while (TOKEN[bytes[at] as number] === 1) at++;
      // Also refuses a folded line and a space before the colon.
      if (at === start || bytes[at] !== COLON) throw new HttpSyntaxError("malformed header name");
      const nameLength = at - start;
      at++;
      while (TEXT[bytes[at] as number] === 1) at++;
      if (bytes[at] !== CR || bytes[at + 1] !== LF) throw new HttpSyntaxError("malformed header value");
      const line = text.slice(start - textAt, at - textAt);
      this.lines.push(line);
      this.note(line, nameLength);
      at += 2;
    }
  }

  private note(line: string, nameLength: number): void {
    switch (nameLength) {
      case 4:
        if (isNamed(line, "host")) this.hosts++;
        return;
      case 6:
        if (isNamed(line, "expect")) this.expect = fieldValue(line, 7);
        return;
      case 10:
        if (isNamed(line, "connection")) this.noteConnection(fieldValue(line, 11));
        else if (isNamed(line, "keep-alive")) {
          const seconds = /(?:^|[ ,])timeout=(\d{1,6})/i.exec(line)?.[1];
          if (seconds !== undefined) this.keepAliveSeconds = Number(seconds);
        }
        return;
      case 14: {
        if (!isNamed(line, "content-length")) return;
        const value = fieldValue(line, 15);
        // Repeated, signed, listed, hexadecimal: each has been read in two ways somewhere.
        if (this.contentLength >= 0 || !/^\d{1,15}$/.test(value)) throw new HttpSyntaxError("malformed content-length");
        this.contentLength = Number(value);
        return;
      }
      case 17:
        if (!isNamed(line, "transfer-encoding")) return;
        if (this.chunked || fieldValue(line, 18).toLowerCase() !== "chunked") {
          throw new HttpSyntaxError("unsupported transfer-encoding");
        }
        this.chunked = true;
    }
  }

  private noteConnection(value: string): void {
    if (value === "keep-alive") return;
    for (const option of value.split(",")) if (fieldValue(option, 0).toLowerCase() === "close") this.close = true;
  }

  protected checkLengths(): void {
    if (this.chunked && this.contentLength >= 0) throw new HttpSyntaxError("both content-length and transfer-encoding");
  }
}

export class ParsedRequest extends Fields implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly http10: boolean;
  readonly path: string;
  readonly query: string;
  body: Buffer = EMPTY;
  readonly #peer: { readonly remoteAddress: string };

  /** Reads `bytes` from `from` to the empty line at `end`. @throws HttpSyntaxError */
  constructor(bytes: Buffer, from: number, end: number, peer: { readonly remoteAddress: string }) {
    super();
    this.#peer = peer;
    const text = bytes.toString("latin1", from, end);
    let at = from;
    while (TOKEN[bytes[at] as number] === 1) at++;
    if (at === from || bytes[at] !== 0x20) throw new HttpSyntaxError("malformed request line");
    this.method = text.slice(0, at - from);
    const targetAt = ++at;
    while (VISIBLE[bytes[at] as number] === 1) at++;
    if (at === targetAt || bytes[at] !== 0x20) throw new HttpSyntaxError("malformed request target");
    this.target = text.slice(targetAt - from, at - from);
    const version = text.slice(at + 1 - from, at + 9 - from);
    if (bytes[at + 9] !== CR || bytes[at + 10] !== LF) throw new HttpSyntaxError("malformed request line");
    this.http10 = version === "HTTP/1.0";
    if (version !== "HTTP/1.1" && !this.http10) {
      if (/^HTTP\/\d\.\d$/.test(version)) throw new HttpSyntaxError("HTTP version not supported", 505, "unsupported");
      throw new HttpSyntaxError("malformed request line");
    }
    this.read(bytes, at + 11, end, text, from);
    this.checkLengths();
    if (this.hosts !== 1 && !(this.http10 && this.hosts === 0)) throw new HttpSyntaxError("exactly one host is needed");
    if (this.http10 && this.chunked) throw new HttpSyntaxError("transfer-encoding in HTTP/1.0");
    if (this.expect !== undefined && this.expect.toLowerCase() !== "100-continue") {
      throw new HttpSyntaxError("unknown expectation", 417);
    }
    if (this.method === "CONNECT") throw new HttpSyntaxError("CONNECT is not supported", 501, "unsupported");
    const pathAt = pathStart(this.method, this.target);
    const queryAt = this.target.indexOf("?", pathAt);
    this.path =
      queryAt < 0 && pathAt === 0 ? this.target : this.target.slice(pathAt, queryAt < 0 ? undefined : queryAt);
    this.query = queryAt < 0 ? "" : this.target.slice(queryAt + 1);
  }

  /** Its body will not be sent before it is asked for. */
  get awaitsContinue(): boolean {
    return this.expect !== undefined && !this.http10 && (this.chunked || this.contentLength > 0);
  }

  get headerLines(): readonly string[] {
    return this.lines;
  }

  get remoteAddress(): string {
    return this.#peer.remoteAddress;
  }

  header(lower: string): string | undefined {
    return lookUp(this.lines, lower);
  }
}

/** Where the path begins in a target (RFC 9112 §3.2). */
function pathStart(method: string, target: string): number {
  if (target.charCodeAt(0) === 0x2f) return 0;
  if (target === "*" && method === "OPTIONS") return 0;
  const origin = /^https?:\/\/[^/?@]+(?=\/)/i.exec(target);
  if (origin === null) throw new HttpSyntaxError("malformed request target");
  return origin[0].length;
}

export class ParsedResponse extends Fields implements ResponseHeaders {
  readonly status: number;
  readonly http10: boolean;

  /** Reads `bytes` from `from` to the empty line at `end`. @throws HttpSyntaxError */
  constructor(bytes: Buffer, from: number, end: number) {
    super();
    const text = bytes.toString("latin1", from, end);
    const match = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n|$)/.exec(text);
    if (match === null) throw new HttpSyntaxError("malformed status line");
    this.http10 = match[1] === "0";
    this.status = Number(match[2]);
    this.read(bytes, from + match[0].length, end, text, from);
    this.checkLengths();
    if (this.http10) {
      if (this.chunked) throw new HttpSyntaxError("transfer-encoding in HTTP/1.0");
      this.close = true;
    }
  }

  get(lower: string): string | undefined {
    return lookUp(this.lines, lower);
  }
}

const EMPTY = Buffer.alloc(0);
