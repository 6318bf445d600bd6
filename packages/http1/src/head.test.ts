import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HttpSyntaxError } from "./errors.ts";
import { fieldValue, findHeadEnd, headerLine, ParsedRequest, ParsedResponse } from "./head.ts";

const peer = { remoteAddress: "192.0.2.1" };

function parse(text: string): ParsedRequest {
  const bytes = Buffer.from(text, "latin1");
  const end = findHeadEnd(bytes, 0);
  expect(end).toBeGreaterThan(0);
  return new ParsedRequest(bytes, 0, end, peer);
}

const withHeader = (line: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`;

describe("request heads", () => {
  it("tells method, target, path, query and fields", () => {
    const request = parse(
      "POST /v1/x?a=1&b=? HTTP/1.1\r\nHost: a:1\r\nX-Two:  b \t\r\nx-two: c\r\nContent-Length: 12\r\n\r\n",
    );
    expect(request.method).toBe("POST");
    expect(request.path).toBe("/v1/x");
    expect(request.query).toBe("a=1&b=?");
    expect(request.header("x-two")).toBe("b, c");
    expect(request.header("x-tw")).toBeUndefined();
    expect(request.contentLength).toBe(12);
    expect(request.remoteAddress).toBe("192.0.2.1");
  });

  it("reads an absolute target and an asterisk", () => {
    expect(parse("GET http://a.b:80/p/q?z HTTP/1.1\r\nHost: a.b\r\n\r\n")).toMatchObject({ path: "/p/q", query: "z" });
    expect(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path).toBe("*");
  });

  it("knows the last request of a connection", () => {
    expect(parse(withHeader("Connection: keep-alive, Close")).close).toBe(true);
    expect(parse(withHeader("Connection: keep-alive")).close).toBe(false);
    expect(parse(withHeader("Connection: closed")).close).toBe(false);
  });

  it("keeps a field named like an object's own in its place", () => {
    expect(parse(withHeader("__proto__: x")).header("__proto__")).toBe("x");
    expect(parse(withHeader("a: b")).header("constructor")).toBeUndefined();
  });

  it.each([
    ["space before the colon", withHeader("Content-Length : 5")],
    ["tab before the colon", withHeader("Content-Length\t: 5")],
    ["folded line", withHeader("X: a\r\n b")],
    ["folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
    ["no colon", withHeader("X")],
    ["empty name", withHeader(": x")],
    ["bare LF in a value", withHeader("X: a\nContent-Length: 5")],
    ["bare CR in a value", withHeader("X: a\rb")],
    ["NUL in a value", withHeader("X: a\0b")],
    ["DEL in a value", withHeader("X: a\x7fb")],
    ["high byte in a name", withHeader("X\xff: a")],
    ["bracket in a name", withHeader("X(: a")],
    ["signed length", withHeader("Content-Length: +5")],
    ["negative length", withHeader("Content-Length: -5")],
    ["hexadecimal length", withHeader("Content-Length: 0x5")],
    ["fractional length", withHeader("Content-Length: 5.0")],
    ["length with an exponent", withHeader("Content-Length: 1e3")],
    ["empty length", withHeader("Content-Length:")],
    ["listed length", withHeader("Content-Length: 5, 5")],
    ["length with NBSP", withHeader("Content-Length: 5\xa0")],
    ["length with vertical tab", withHeader("Content-Length: \x0b5")],
    ["length that overflows", withHeader("Content-Length: 18446744073709551621")],
    ["two equal lengths", withHeader("Content-Length: 5\r\nContent-Length: 5")],
    ["two different lengths", withHeader("Content-Length: 5\r\ncontent-length: 6")],
    ["both framings", withHeader("Content-Length: 5\r\nTransfer-Encoding: chunked")],
    ["both framings, turned", withHeader("Transfer-Encoding: chunked\r\nContent-Length: 5")],
    ["unknown coding", withHeader("Transfer-Encoding: gzip, chunked")],
    ["identity", withHeader("Transfer-Encoding: identity")],
    ["listed twice", withHeader("Transfer-Encoding: chunked, chunked")],
    ["twice", withHeader("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")],
    ["hidden by a vertical tab", withHeader("Transfer-Encoding: \x0bchunked")],
    ["quoted", withHeader('Transfer-Encoding: "chunked"')],
    ["empty coding", withHeader("Transfer-Encoding:")],
    ["chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["no host", "GET / HTTP/1.1\r\nX: a\r\n\r\n"],
    ["two hosts", withHeader("Host: b")],
    ["tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"],
    ["space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["high byte in the target", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["target that is no path", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["credentials in the target", "GET http://u@h/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["no version", "GET /\r\nHost: a\r\n\r\n"],
    ["lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"],
    ["bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
    ["empty method", " / HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["method with a colon", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ])("refuses %s", (_name, text) => {
    expect(() => parse(text)).toThrow(HttpSyntaxError);
  });

  it("tells what it does not speak from what is malformed", () => {
    expect(() => parse("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")).toThrow(
      expect.objectContaining({ status: 501 }) as Error,
    );
    expect(() => parse("CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")).toThrow(
      expect.objectContaining({ status: 501 }) as Error,
    );
    expect(() => parse("GET / HTTP/2.0\r\nHost: a\r\n\r\n")).toThrow(expect.objectContaining({ status: 505 }) as Error);
  });

  it("never throws anything but HttpSyntaxError", () => {
    const line = fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.constantFrom(
        "Host: a",
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "GET / HTTP/1.1",
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
        for (const Kind of [ParsedRequest, ParsedResponse]) {
          try {
            const parsed = new Kind(bytes, 0, findHeadEnd(bytes, 0), peer);
            expect(parsed.lines.join("\r\n")).not.toMatch(/[\0\n](?<!\r\n)/);
          } catch (error) {
            expect(error).toBeInstanceOf(HttpSyntaxError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("reads back what was written", () => {
    const token = fc.string({
      unit: fc.constantFrom("a", "b", "X", "Y", "0", "9", "-", "_", "!", "~"),
      minLength: 1,
      maxLength: 12,
    });
    const value = fc.string({
      unit: fc.constantFrom("a", "b", " ", ",", ";", ":", "=", "\t", '"', "\xe9"),
      maxLength: 20,
    });
    fc.assert(
      fc.property(token, fc.array(fc.tuple(token, value), { maxLength: 8 }), (method, fields) => {
        const own = fields.map(([name, text]) => [`x-${name}`, text] as const);
        const text = `${method} /p HTTP/1.1\r\nhost: a\r\n${own.map(([name, v]) => headerLine(name, v)).join("")}\r\n`;
        const request = parse(text);
        expect(request.method).toBe(method);
        for (const [name] of own) {
          const same = own.filter(([other]) => other.toLowerCase() === name.toLowerCase());
          expect(request.header(name.toLowerCase())).toBe(same.map(([, v]) => fieldValue(v, 0)).join(", "));
        }
      }),
    );
  });
});

describe("response heads", () => {
  const response = (text: string): ParsedResponse => {
    const bytes = Buffer.from(text, "latin1");
    return new ParsedResponse(bytes, 0, findHeadEnd(bytes, 0));
  };

  it("tells status, framing and keep-alive", () => {
    expect(response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: timeout=5, max=9\r\n\r\n")).toMatchObject({
      status: 200,
      contentLength: 3,
      keepAliveSeconds: 5,
      close: false,
    });
    expect(response("HTTP/1.1 204\r\n\r\n").status).toBe(204);
    expect(response("HTTP/1.0 200 \r\n\r\n").close).toBe(true);
  });

  it.each([
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 999 OK\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 200 O\nK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
  ])("refuses %j", (text) => {
    expect(() => response(text)).toThrow(HttpSyntaxError);
  });
});

describe("headerLine", () => {
  it("refuses what would become more than one line", () => {
    expect(headerLine("a-b", "c d")).toBe("a-b: c d\r\n");
    for (const value of ["a\r\nb: c", "a\nb", "a\0", "\u010a", "\u2028"])
      expect(() => headerLine("x", value)).toThrow(TypeError);
    for (const name of ["", "a b", "a:", "a\r\n"]) expect(() => headerLine(name, "x")).toThrow(TypeError);
  });
});
