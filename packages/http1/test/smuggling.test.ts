import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HttpServer } from "../src/index.ts";
import { exchange, start } from "./raw.ts";

/**
 * Requests that some pair of HTTP implementations reads in two ways (James Kettle's desync corpus, the CVEs of Node, HAProxy, Apache,
 * Waitress, Puma and Gunicorn, RFC 9112 §11.2). Each must be answered once, with a refusal, and end the connection; what follows in it is
 * never taken for a request.
 */
const HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const post = (headers: string, body: string): string => `POST / HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n${body}`;

const corpus: readonly (readonly [name: string, bytes: string])[] = [
  ["CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4", `5c\r\n${HIDDEN}\r\n0\r\n\r\n`)],
  ["TE.TE, second unknown", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", `0\r\n\r\n${HIDDEN}`)],
  ["TE.TE, list", post("Transfer-Encoding: x, chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE.TE, chunked not last", post("Transfer-Encoding: chunked, identity", `0\r\n\r\n${HIDDEN}`)],
  ["TE with a space before the colon", post("Transfer-Encoding : chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE folded", post("Transfer-Encoding:\r\n chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE with a vertical tab", post("Transfer-Encoding:\x0bchunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE with a NUL", post("Transfer-Encoding: chunked\0", `0\r\n\r\n${HIDDEN}`)],
  ["TE behind a bare LF", post("X: y\nTransfer-Encoding: chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE behind a bare CR", post("X: y\rTransfer-Encoding: chunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE with high bytes", post("Transfer-Encoding: chunked\xff", `0\r\n\r\n${HIDDEN}`)],
  ["TE misspelt", post("Transfer-Encoding: xchunked", `0\r\n\r\n${HIDDEN}`)],
  ["TE with parameters", post("Transfer-Encoding: chunked;q=1", `0\r\n\r\n${HIDDEN}`)],
  ["TE in HTTP/1.0", `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ["two equal CL", post("Content-Length: 0\r\nContent-Length: 0", HIDDEN)],
  ["two different CL", post(`Content-Length: 0\r\nContent-Length: ${HIDDEN.length}`, HIDDEN)],
  ["CL list", post("Content-Length: 0, 0", HIDDEN)],
  ["CL negative", post("Content-Length: -1", HIDDEN)],
  ["CL with a plus", post("Content-Length: +0", HIDDEN)],
  ["CL hexadecimal", post("Content-Length: 0x0", HIDDEN)],
  ["CL with an underscore", post("Content-Length: 0_0", HIDDEN)],
  ["CL empty", post("Content-Length: ", HIDDEN)],
  ["CL beyond 64 bits", post("Content-Length: 36893488147419103232", HIDDEN)],
  ["CL with a space before the colon", post("Content-Length : 0", HIDDEN)],
  ["CL with NBSP", post("Content-Length: 0\xa0", HIDDEN)],
  ["chunk extension", post("Transfer-Encoding: chunked", `0;a=b\r\n\r\n${HIDDEN}`)],
  ["chunk extension with a bare LF", post("Transfer-Encoding: chunked", `2;\nxx\r\n4c\r\n0\r\n\r\n${HIDDEN}`)],
  ["chunk extension with a bare CR", post("Transfer-Encoding: chunked", `1;a\rb\r\nx\r\n0\r\n\r\n${HIDDEN}`)],
  ["chunk size with a minus", post("Transfer-Encoding: chunked", `-1\r\n\r\n${HIDDEN}`)],
  ["chunk size with 0x", post("Transfer-Encoding: chunked", `0x0\r\n\r\n${HIDDEN}`)],
  ["chunk size with spaces", post("Transfer-Encoding: chunked", `0 \r\n\r\n${HIDDEN}`)],
  ["chunk size with an underscore", post("Transfer-Encoding: chunked", `0_0\r\n\r\n${HIDDEN}`)],
  ["chunk size that overflows 32 bits", post("Transfer-Encoding: chunked", `100000000\r\n\r\n${HIDDEN}`)],
  ["chunk size that overflows 64 bits", post("Transfer-Encoding: chunked", `10000000000000000\r\n\r\n${HIDDEN}`)],
  ["chunk size empty", post("Transfer-Encoding: chunked", `\r\n\r\n${HIDDEN}`)],
  ["chunk ended by LF", post("Transfer-Encoding: chunked", `1\nx\n0\n\n${HIDDEN}`)],
  ["chunk longer than said", post("Transfer-Encoding: chunked", `1\r\nxx\r\n0\r\n\r\n${HIDDEN}`)],
  ["last chunk ended by LF", post("Transfer-Encoding: chunked", `0\r\n\n${HIDDEN}`)],
  ["folded trailer", post("Transfer-Encoding: chunked", `0\r\n a: b\r\n\r\n${HIDDEN}`)],
  ["trailer with a bare LF", post("Transfer-Encoding: chunked", `0\r\na: b\nc: d\r\n\r\n${HIDDEN}`)],
  ["bare LF head", `GET / HTTP/1.1\nHost: a\n\n${HIDDEN}`],
  ["bare LF at its end", `GET / HTTP/1.1\r\nHost: a\r\nX: y\n\n${HIDDEN}`],
  ["bare CR head", `GET / HTTP/1.1\rHost: a\r\r${HIDDEN}`],
  ["obsolete fold", `GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n${HIDDEN}`],
  ["fold before the first header", `GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["NUL in a value", `GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n${HIDDEN}`],
  ["NUL in a name", `GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n${HIDDEN}`],
  ["NUL in the target", `GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["header without a colon", `GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n${HIDDEN}`],
  ["header without a name", `GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n${HIDDEN}`],
  ["two hosts", `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${HIDDEN}`],
  ["no host", `GET / HTTP/1.1\r\nX: y\r\n\r\n${HIDDEN}`],
  ["line break in the target", `GET /\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["two targets", `GET / /x HTTP/1.1\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["HTTP/0.9", `GET /\r\n\r\n${HIDDEN}`],
  ["unknown version", `GET / HTTP/1.12\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["two empty lines first", `\r\n\r\n${HIDDEN}`],
];

describe("what could be read in two ways", () => {
  const paths: string[] = [];
  let server: HttpServer;
  beforeAll(async () => {
    server = await start((request, reply) => {
      paths.push(request.path);
      reply.send(200, "", "");
    });
  });
  afterAll(() => server.close(0));

  it.each(corpus)("%s: 400 and the end of the connection", async (_name, bytes) => {
    const heard = await exchange(server.port, bytes);
    expect(heard).toMatch(/^HTTP\/1\.1 400 /);
    expect(heard).toContain("connection: close\r\n");
    expect(heard.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(paths).not.toContain("/smuggled");
  });

  it("refuses in the same way however the bytes are cut", async () => {
    const { Raw } = await import("./raw.ts");
    for (const [, bytes] of corpus.slice(0, 12)) {
      const raw = await Raw.connect(server.port);
      for (let at = 0; at < bytes.length && !raw.closed; at += 7) {
        raw.say(bytes.slice(at, at + 7));
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(await raw.whole()).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(paths).not.toContain("/smuggled");
  });

  it("takes no tunnel", async () => {
    expect(await exchange(server.port, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")).toMatch(/^HTTP\/1\.1 501 /);
    // An Upgrade is ignored (RFC 9110 §7.8): the request is answered as what it is, and the connection stays HTTP/1.1.
    const upgrade = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    expect(await exchange(server.port, upgrade)).toMatch(/^HTTP\/1\.1 200 /);
  });
});
