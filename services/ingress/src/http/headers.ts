import { dollarsOf } from "@weir/kernel";
import type { Trail } from "../flows/trail.ts";
import type { Served } from "../domain/call.ts";

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
): string {
  let text =
    line("x-weir-provider", served.provider) + line("x-weir-model", served.model) + line("x-weir-cache", "none");
  if (served.region !== "") text += line("x-weir-region", served.region);
  if (dropped.length > 0) text += line("x-weir-dropped", dropped.join(", "));
  for (const [name, value] of passed) text += line(name, value);
  return text;
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
    text += servedHeaders(result.served, result.dropped, result.headers);
    if (result.priceVersion !== "") text += line("x-weir-cost-usd", dollarsOf(result.costNanos));
  }
  return text + line("x-weir-overhead-ms", (trail.overheadUs / 1000).toFixed(3));
}
