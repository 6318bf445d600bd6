import { dollarsOf } from "@weir/kernel";
import type { Trail } from "../flows/trail.ts";
import { type CacheUse, isHit, type Served } from "../domain/call.ts";

/** What could end a header line, or start another. */
const UNSAFE = /[^\t\x20-\x7e]/g;

export const line = (name: string, value: string | number): string =>
  `${name}: ${typeof value === "string" ? value.replace(UNSAFE, "?") : value}\r\n`;

/**
 * `x-request-id` is the client's own where it sent one; `x-weir-request-id` is always ours: the one the audit log knows.
 */
export function identityHeaders(requestId: string, clientRequestId: string): string {
  return (
    line("x-request-id", clientRequestId === "" ? requestId : clientRequestId) + line("x-weir-request-id", requestId)
  );
}

export function servedHeaders(
  served: Served,
  dropped: readonly string[],
  passed: readonly (readonly [string, string])[],
  cache: CacheUse | undefined,
): string {
  let text = line("x-weir-provider", served.provider) + line("x-weir-model", served.model) + cacheLines(cache);
  if (served.region !== "") text += line("x-weir-region", served.region);
  if (dropped.length > 0) text += line("x-weir-dropped", dropped.join(", "));
  for (const [name, value] of passed) text += line(name, value);
  return text;
}

/** `age` as in RFC 9111 §5.1. */
function cacheLines(cache: CacheUse | undefined): string {
  if (cache === undefined) return line("x-weir-cache", "none");
  const text = line("x-weir-cache", cache.outcome);
  if (!isHit(cache)) return text;
  const age = line("age", Math.floor(cache.ageMs / 1000));
  const near = cache.outcome === "hit" ? "" : line("x-weir-cache-similarity", cache.similarity.toFixed(4));
  return text + near + age + line("x-weir-cache-saved-usd", dollarsOf(cache.savedNanos));
}

/** For a stream's start, when attempts, cost and overhead are not final: only what is known. */
export const streamHeaders = (served: Served): string => line("x-weir-attempts", served.attempt);

/** Of who waited for its turn. */
export const waitedHeader = ({ waitedMs }: Trail): string =>
  waitedMs === 0 ? "" : line("x-weir-queue-ms", Math.ceil(waitedMs));

export function resultHeaders(trail: Trail): string {
  const { result } = trail;
  if (result === undefined) return "";
  let text = line("x-weir-attempts", result.attempts.length);
  if (result.served !== undefined) {
    text += servedHeaders(result.served, result.dropped, result.headers, result.cache);
    if (result.priceVersion !== "") text += line("x-weir-cost-usd", dollarsOf(result.costNanos));
  }
  return text + line("x-weir-overhead-ms", (trail.overheadUs / 1000).toFixed(3));
}
