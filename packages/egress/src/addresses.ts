import { BlockList, isIP } from "node:net";

const INTERNAL_V4 = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  INTERNAL_V4.addSubnet(net, prefix, "ipv4");

/** Only what is routed on the Internet, without the ranges in it that stand for IPv4 addresses or for nothing (RFC 6890). */
const GLOBAL_V6 = new BlockList();
GLOBAL_V6.addSubnet("2000::", 3, "ipv6");
const WRAPPED_V6 = new BlockList();
WRAPPED_V6.addSubnet("2001::", 23, "ipv6");
WRAPPED_V6.addSubnet("2001:db8::", 32, "ipv6");
WRAPPED_V6.addSubnet("2002::", 16, "ipv6");

/** Whether an address is one of the Internet's. */
export const isPublic = (address: string): boolean =>
  isIP(address) === 4
    ? !INTERNAL_V4.check(address, "ipv4")
    : isIP(address) === 6 && GLOBAL_V6.check(address, "ipv6") && !WRAPPED_V6.check(address, "ipv6");
