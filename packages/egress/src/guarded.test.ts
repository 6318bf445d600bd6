/** A canary listens on every local address and port that a URL below could reach: nothing may ever connect to it. */
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type LookupFunction } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isPublic } from "./addresses.ts";
import { guardedLookup } from "./guarded.ts";
import { EgressError, guardedGet, guardedPost, requireReachable } from "./index.ts";

let canary: Server;
let port: number;
let connections = 0;
let paths: string[] = [];

beforeAll(async () => {
  canary = createServer((request, response) => {
    paths.push(request.url ?? "");
    if (request.url === "/redirect") response.writeHead(302, { location: `http://127.0.0.1:${port}/secret` }).end();
    else response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  canary.on("connection", () => (connections += 1));
  // On all addresses, of both families.
  await new Promise<void>((resolve) => canary.listen(0, "::", resolve));
  port = (canary.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => canary.close(resolve)));

const NOBODY: ReadonlySet<string> = new Set();
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

const FORMS = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f000001",
  "0x7f.1",
  "0x7f.0x0.0x0.0x1",
  "017700000001",
  "0177.0.0.01",
  "0177.0x0.0.1",
  "0",
  "0.0.0.0",
  "127.255.255.254",
  "１２７.0.0.1",
  "127。0。0。1",
  "127%2e0%2e0%2e1",
  "127.0.0.1.",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "[::1]",
  "[::]",
  "[0:0:0:0:0:0:0:1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[2001:0:7f00:1::]",
  "[fe80::1]",
  "[fc00::1]",
  "[fd00:ec2::254]",
  "169.254.169.254",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.0.1",
  "100.64.0.1",
  "user:pass@127.0.0.1",
  "example.com@127.0.0.1",
];

test.each(FORMS)("https://%s reaches nobody", async (host) => {
  const url = new URL(`https://${host}:${port}/`);
  // Some systems know no such name: then nobody is reached, either.
  const refused = host === "localhost." ? /is an internal address|ENOTFOUND|EAI_AGAIN/ : EgressError;
  await expect(guardedGet(url, NOBODY, signal())).rejects.toThrow(refused);
  await expect(guardedPost(url, NOBODY, { headers: {}, body: "{}", signal: signal() })).rejects.toThrow(refused);
  expect(connections).toBe(0);
});

test.each(["http", "ftp", "file", "gopher", "data"])("%s is not https", (scheme) => {
  const url = new URL(scheme === "data" ? "data:text/plain,x" : `${scheme}://example.com/`);
  expect(() => requireReachable(url, NOBODY)).toThrow(EgressError);
});

test("what a name resolves to at the moment of connecting counts, and all of it", async () => {
  let turn = 0;
  const answers = [[{ address: "93.184.216.34", family: 4 }], [{ address: "127.0.0.1", family: 4 }]];
  const rebinding = ((_host: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, answers[Math.min(turn++, 1)] ?? [])) as unknown as Parameters<typeof guardedLookup>[0];
  const lookup = guardedLookup(rebinding);
  const look = (using: LookupFunction, all: boolean) =>
    new Promise((resolve) => using("rebind.example", { all }, (error, found) => resolve(error ?? found)));
  expect(await look(lookup, false)).toBe("93.184.216.34");
  // The second answer is what a connection would have got: it makes its own look-up, which is this one.
  expect(await look(lookup, false)).toBeInstanceOf(EgressError);
  const error = await new Promise((resolve) => {
    connect({ host: "rebind.example", port, lookup })
      .on("error", resolve)
      .on("connect", () => resolve("connected"));
  });
  expect(error).toBeInstanceOf(EgressError);
  const mixed = guardedLookup(((_host: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, [
      { address: "93.184.216.34", family: 4 },
      { address: "::1", family: 6 },
    ])) as unknown as Parameters<typeof guardedLookup>[0]);
  expect(await look(mixed, true)).toBeInstanceOf(EgressError);
  expect(connections).toBe(0);
});

test("an origin that the operator listed is reached, by its very letters, and its redirects are not followed", async () => {
  const listed = new Set([`http://127.0.0.1:${port}`]);
  expect((await guardedGet(new URL(`http://127.0.0.1:${port}/ok`), listed, signal())).toString()).toBe("{}");
  await expect(guardedGet(new URL(`http://127.0.0.1:${port}/redirect`), listed, signal())).rejects.toThrow("302");
  const posted = guardedPost(new URL(`http://127.0.0.1:${port}/redirect`), listed, {
    headers: {},
    body: "{}",
    signal: signal(),
  });
  await expect(posted).rejects.toThrow("302");
  expect(paths).toEqual(["/ok", "/redirect", "/redirect"]);
  await expect(guardedGet(new URL(`http://localhost:${port}/other`), listed, signal())).rejects.toThrow(EgressError);
  await expect(guardedGet(new URL(`http://127.0.0.1:${port + 1}/`), listed, signal())).rejects.toThrow(EgressError);
});

test("no address of an internal network is public, however it is wrapped", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const internal = fc.oneof(
    fc.tuple(fc.constantFrom(0, 10, 127), octet, octet, octet),
    fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), octet, octet),
    fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
    fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
    fc.tuple(fc.integer({ min: 224, max: 255 }), octet, octet, octet),
  );
  fc.assert(
    fc.property(internal, ([a, b, c, d]) => {
      const high = (a * 256 + b).toString(16);
      const low = (c * 256 + d).toString(16);
      for (const form of [
        `${a}.${b}.${c}.${d}`,
        `::ffff:${a}.${b}.${c}.${d}`,
        `::ffff:${high}:${low}`,
        `::${high}:${low}`,
        `64:ff9b::${high}:${low}`,
        `2002:${high}:${low}::`,
      ])
        expect(isPublic(form)).toBe(false);
    }),
  );
  for (const open of ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"]) expect(isPublic(open)).toBe(true);
});
