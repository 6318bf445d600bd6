import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from "node:dns";
import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** What the caller configured cannot be read: it is away, too large, or where nobody may look. */
export class FetchError extends Error {
  override readonly name = "FetchError";
}

const MOST_BYTES = 262_144;

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

/** Looks at the very addresses that are connected to: a name that changes its mind between two look-ups gets nowhere. */
export const publicLookup: LookupFunction = (host, options, callback) => {
  const all: LookupAllOptions = { ...options, all: true };
  dnsLookup(host, all, (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
    if (error !== null) return callback(error, []);
    const [first] = addresses;
    if (first === undefined || !addresses.every(({ address }) => isPublic(address)))
      return callback(new FetchError(`${host} is an internal address`), []);
    if (options.all === true) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};

/**
 * @returns whether the operator lets this origin be internal; if not, what is connected to must come from `publicLookup`
 * @throws FetchError for what nobody may connect to, as far as its text says
 */
export function requireReachable(url: URL, internal: ReadonlySet<string>): boolean {
  const trusted = internal.has(url.origin);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && trusted))
    throw new FetchError(`${url.origin} is not https`);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  // Nobody looks up what is an address already.
  if (!trusted && isIP(host) !== 0 && !isPublic(host)) throw new FetchError(`${host} is an internal address`);
  return trusted;
}

/**
 * Reads a small document from an address that somebody configured who may not be the operator: no redirects, no internal addresses, no
 * more than 256 KiB. Fails closed.
 * @param internal origins that the operator lets be internal, or plain http
 * @throws Error
 */
export async function guardedGet(url: URL, internal: ReadonlySet<string>, signal: AbortSignal): Promise<Buffer> {
  const trusted = requireReachable(url, internal);
  const get = url.protocol === "https:" ? httpsGet : httpGet;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { accept: "application/json", "user-agent": "weir" };
    get(url, { signal, headers, agent: false, ...(trusted ? {} : { lookup: publicLookup }) }, resolve).on(
      "error",
      reject,
    );
  });
  if (response.statusCode !== 200) {
    response.destroy();
    throw new FetchError(`${url.origin} answered ${response.statusCode}`);
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    // Leaving the loop destroys the stream.
    if (size > MOST_BYTES) throw new FetchError(`${url.origin} answered with more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
