/**
 * Connections to addresses that somebody named who may not be the operator. Fails closed: https only, no redirects, no address that is not one
 * of the Internet's, whatever form it is written in and whatever its name resolves to at the moment of connecting.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupAllOptions } from "node:dns";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { isPublic } from "./addresses.ts";

/** Nobody may connect there, or what is there does not answer as it should. What it says may be shown. */
export class EgressError extends Error {
  override readonly name = "EgressError";
}

const MOST_BYTES = 262_144;

/**
 * Looks at the very addresses that are connected to: a name that changes its mind between two look-ups gets nowhere.
 * @param lookup node's; another in tests
 */
export const guardedLookup =
  (lookup: typeof dnsLookup): LookupFunction =>
  (host, options, callback) => {
    const all: LookupAllOptions = { ...options, all: true };
    lookup(host, all, (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const [first] = addresses;
      if (first === undefined || !addresses.every(({ address }) => isPublic(address)))
        return callback(new EgressError(`${host} is an internal address`), []);
      if (options.all === true) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };

/**
 * @returns whether the operator lets this origin be internal; if not, what is connected to must come from `guardedLookup`
 * @throws EgressError for what nobody may connect to, as far as its text says
 */
export function requireReachable(url: URL, internal: ReadonlySet<string>): boolean {
  const trusted = internal.has(url.origin);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && trusted))
    throw new EgressError(`${url.origin} is not https`);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  // Nobody looks up what is an address already.
  if (!trusted && isIP(host) !== 0 && !isPublic(host)) throw new EgressError(`${host} is an internal address`);
  return trusted;
}

interface Ask {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** @param internal origins that the operator lets be internal, or plain http. @throws Error */
async function send(url: URL, internal: ReadonlySet<string>, { body, headers, ...ask }: Ask): Promise<IncomingMessage> {
  const trusted = requireReachable(url, internal);
  const make = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const sent = make(
      url,
      {
        ...ask,
        headers: { ...headers, ...length, "user-agent": "weir" },
        // A connection of its own: nobody else's was looked at for this address.
        agent: false,
        ...(trusted ? {} : { lookup: guardedLookup(dnsLookup) }),
      },
      resolve,
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/**
 * Reads a small document: no more than 256 KiB.
 * @param internal origins that the operator lets be internal, or plain http
 * @throws Error
 */
export async function guardedGet(url: URL, internal: ReadonlySet<string>, signal: AbortSignal): Promise<Buffer> {
  const response = await send(url, internal, { method: "GET", headers: { accept: "application/json" }, signal });
  if (response.statusCode !== 200) refused(url, response);
  return await read(url, response);
}

/**
 * Sends a small document; nothing of the answer but its status is read.
 * @param internal origins that the operator lets be internal, or plain http
 * @throws Error; also where it is not answered with 2xx
 */
export async function guardedPost(url: URL, internal: ReadonlySet<string>, post: Post): Promise<void> {
  (await posted(url, internal, post)).destroy();
}

/**
 * Sends a document and reads a small one: no more than 256 KiB.
 * @param internal origins that the operator lets be internal, or plain http
 * @throws Error; also where it is not answered with 2xx
 */
export const guardedAsk = async (url: URL, internal: ReadonlySet<string>, post: Post): Promise<Buffer> =>
  read(url, await posted(url, internal, post));

type Post = Pick<Ask, "headers" | "signal"> & { readonly body: string };

async function posted(url: URL, internal: ReadonlySet<string>, post: Post): Promise<IncomingMessage> {
  const response = await send(url, internal, { method: "POST", ...post });
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299) refused(url, response);
  return response;
}

function refused(url: URL, response: IncomingMessage): never {
  response.destroy();
  throw new EgressError(`${url.origin} answered ${response.statusCode}`);
}

async function read(url: URL, response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    // Leaving the loop destroys the stream.
    if (size > MOST_BYTES) throw new EgressError(`${url.origin} answered with more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
