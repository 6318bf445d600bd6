import { createHttpClient, type HttpClientOptions } from "@weir/http1";
import type { HealthCheck } from "../ports.ts";

const LONGEST_MS = 5_000;
const HEADERS = "user-agent: weir\r\naccept: */*\r\n";

/**
 * GET, without a credential: whether the provider is there is all that is asked, and it says so with a 401, too. Redirects are not followed.
 * @param origin of its base URL
 */
export function healthProbe(
  provider: string,
  origin: string,
  { path, intervalMs }: { readonly path: string; readonly intervalMs: number },
  tls?: HttpClientOptions["tls"],
): HealthCheck {
  const client = createHttpClient(origin, tls === undefined ? { maxConnections: 1 } : { maxConnections: 1, tls });
  // To connect and to answer: both together are over before the next check.
  const eachMs = Math.min(LONGEST_MS, intervalMs / 2);
  const times = { connectMs: eachMs, firstByteMs: eachMs, idleMs: eachMs };
  return {
    provider,
    intervalMs,
    passes: () =>
      new Promise((resolve) => {
        let passed = false;
        const over = (): void => resolve(passed);
        const exchange = client.request(
          { method: "GET", path, headers: HEADERS, retryStale: true, ...times },
          {
            head(status) {
              passed = status < 500;
              // What it says does not matter.
              exchange.cancel();
            },
            data: () => undefined,
            end: over,
            error: over,
          },
        );
      }),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
