import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contains, ipOf, rangeOf, rangeText } from "./addresses.ts";

const v6Text = fc
  .tuple(fc.array(fc.constantFrom("0", "1", "ffff", "00a", ""), { maxLength: 9 }), fc.constantFrom("", "1.2.3.4", "::"))
  .map(([groups, tail]) => groups.join(":") + tail);
const someText = fc.oneof(
  v6Text,
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom("01.2.3.4", "1.2.3", "256.1.1.1", "::", "1::2::3", ""),
);

describe("addresses", () => {
  test("are what Node takes for addresses, and nothing else", () => {
    fc.assert(
      fc.property(someText, (text) => {
        expect(ipOf(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 3000 },
    );
  });

  test("come back as the same address, however they were written", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const ip = ipOf(text);
        if (ip === undefined) throw new Error("no address");
        const shown = rangeText(ip);
        expect(isIP(shown)).toBe(ip.family);
        expect(ipOf(shown)).toEqual(ip);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["2001:db8:0:0:0:0:0:1", "2001:db8::1"],
    ["0:0:1:0:0:0:1:0", "0:0:1::1:0"],
    ["::", "::"],
    ["1::", "1::"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["fe80::1%eth0", "fe80::1"],
    ["10:0:10:0:0:1:0:0", "10:0:10::1:0:0"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ])("%s is written %s", (text, expected) => {
    const ip = ipOf(text);
    expect(ip === undefined ? undefined : rangeText(ip)).toBe(expected);
  });
});

describe("ranges", () => {
  test.each([
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/",
    "::1/64",
    "2001:db8::/129",
    "::ffff:10.0.0.0/8",
    "x/8",
    "1.2.3.4/8/8",
    "fe80::1%a/128",
    "",
  ])("%j is none", (text) => {
    expect(rangeOf(text)).toBeUndefined();
  });

  test("hold what Node's block list holds", () => {
    const near = fc.tuple(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 32 }), fc.nat(40));
    const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
    fc.assert(
      fc.property(near, ([address, bits, flip]) => {
        const base = bits === 0 ? 0 : (address & (0xffff_ffff << (32 - bits))) >>> 0;
        const other = flip >= 32 ? address : (address ^ (1 << flip)) >>> 0;
        const list = new BlockList();
        list.addSubnet(dotted(base), bits, "ipv4");
        const range = rangeOf(`${dotted(base)}/${bits}`);
        const ip = ipOf(dotted(other));
        if (range === undefined || ip === undefined) throw new Error("no range");
        expect(contains(range, ip)).toBe(list.check(dotted(other)));
      }),
      { numRuns: 1000 },
    );
  });

  test("of IPv6 hold no IPv4 address, but IPv4 written as IPv6 is IPv4", () => {
    const holds = (range: string, ip: string): boolean | undefined => {
      const [of, one] = [rangeOf(range), ipOf(ip)];
      return of === undefined || one === undefined ? undefined : contains(of, one);
    };
    expect(holds("::/0", "10.0.0.1")).toBe(false);
    expect(holds("10.0.0.0/8", "::ffff:10.0.0.1")).toBe(true);
    expect(holds("::ffff:10.0.0.0/104", "10.9.9.9")).toBe(true);
    expect(holds("2001:db8::/32", "2001:db8:ffff::1")).toBe(true);
    expect(holds("2001:db8::/32", "2001:db9::1")).toBe(false);
  });
});
