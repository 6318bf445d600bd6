import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { SendWebhook } from "../ports.ts";
import { FetchError, publicLookup, requireReachable } from "./guarded-get.ts";

const WITHIN_MS = 10_000;

/**
 * Sends a small document to an address that somebody configured who may not be the operator: no redirects, no internal addresses, https
 * only; nothing of the answer but its status is read. Fails closed.
 * @param internal origins that the operator lets be internal, or plain http
 */
export const guardedPost =
  (internal: ReadonlySet<string>): SendWebhook =>
  async (address, headers, body) => {
    const url = new URL(address);
    const trusted = requireReachable(url, internal);
    const make = url.protocol === "https:" ? httpsRequest : httpRequest;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = make(
        url,
        {
          method: "POST",
          signal: AbortSignal.timeout(WITHIN_MS),
          headers: { ...headers, "content-length": Buffer.byteLength(body), "user-agent": "weir" },
          agent: false,
          ...(trusted ? {} : { lookup: publicLookup }),
        },
        resolve,
      );
      sent.on("error", reject);
      sent.end(body);
    });
    const { statusCode = 0 } = response;
    response.destroy();
    if (statusCode < 200 || statusCode > 299) throw new FetchError(`${url.origin} answered ${statusCode}`);
  };
