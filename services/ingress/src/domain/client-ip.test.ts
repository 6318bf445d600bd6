import { rangesOf } from "@weir/rules";
import { expect, test } from "vitest";
import { clientIpOf } from "./client-ip.ts";

const trusted = rangesOf(["10.0.0.0/8", "2001:db8::/32"]);

test.each([
  ["no proxy", "192.0.2.7", undefined, "192.0.2.7"],
  ["a stranger who claims another address", "192.0.2.7", "10.0.0.1", "192.0.2.7"],
  ["a proxy that says nothing", "10.0.0.1", undefined, "10.0.0.1"],
  ["one proxy", "10.0.0.1", "192.0.2.7", "192.0.2.7"],
  ["a client that forges hops before its own", "10.0.0.1", "127.0.0.1, 10.9.9.9, 192.0.2.7", "192.0.2.7"],
  ["two proxies", "10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"],
  ["only proxies: the farthest", "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
  ["hops with ports", "10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
  ["IPv6 with a port", "2001:db8::1", "[2001:dead::7]:4711, [2001:db8::2]", "2001:dead::7"],
  ["an IPv4 peer written as IPv6", "::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"],
  ["what is no address from a trusted proxy", "10.0.0.1", "192.0.2.7, unknown", ""],
  ["what is no address from the client", "10.0.0.1", "unknown, 192.0.2.7", "192.0.2.7"],
  ["a call within the process", "", "192.0.2.7", ""],
] as const)("%s", (_what, peer, header, expected) => {
  expect(clientIpOf(peer, () => header, trusted)).toBe(expected);
});

test("without trusted proxies the header is not even read", () => {
  const read = (): never => {
    throw new Error("read");
  };
  expect(clientIpOf("10.0.0.1", read, [])).toBe("10.0.0.1");
});
