import { contains, type IpRange, ipOf } from "@weir/rules";

/** A hop as proxies write it, some with a port: "192.0.2.1:4711", "[2001:db8::1]:4711". */
function addressIn(hop: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(hop);
  if (bracketed !== null) return bracketed[1] as string;
  return /^[^:]+:\d+$/.test(hop) ? hop.slice(0, hop.indexOf(":")) : hop;
}

/**
 * Whose request it is: the last hop that no trusted proxy vouches for. `x-forwarded-for` is read from its end, where each proxy adds whom it
 * heard from; everything left of the first hop that is not trusted is the client's own word.
 * @param peer whose connection it is; "": not known, as for a call within this process
 * @param trusted empty: the header is not read at all
 * @returns "" where a trusted proxy says what is no address: then nobody knows, and no rule about addresses lets it in
 */
export function clientIpOf(peer: string, forwardedFor: () => string | undefined, trusted: readonly IpRange[]): string {
  if (trusted.length === 0 || !isTrusted(peer, trusted)) return peer;
  const hops = (forwardedFor() ?? "").split(",");
  let client = peer;
  for (let index = hops.length - 1; index >= 0; index--) {
    const hop = (hops[index] as string).trim();
    if (hop === "") continue;
    client = addressIn(hop);
    if (ipOf(client) === undefined) return "";
    if (!isTrusted(client, trusted)) return client;
  }
  return client;
}

function isTrusted(address: string, trusted: readonly IpRange[]): boolean {
  const ip = ipOf(address);
  return ip !== undefined && trusted.some((range) => contains(range, ip));
}
