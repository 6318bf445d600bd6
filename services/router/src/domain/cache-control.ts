/** What a client's `cache-control` (RFC 9111 §5.2.1) asks of the cache. */
export interface CacheControl {
  /** A kept answer will do. */
  readonly read: boolean;
  /** This request's answer may be kept. */
  readonly write: boolean;
  /** Not older than this; Infinity: of any age. */
  readonly maxAgeMs: number;
}

const PLAIN: CacheControl = { read: true, write: true, maxAgeMs: Number.POSITIVE_INFINITY };

/** What is not understood is passed over, as the RFC wants. */
export function cacheControlOf(header: string | undefined): CacheControl {
  if (header === undefined || header === "") return PLAIN;
  let { read, write, maxAgeMs } = PLAIN;
  for (const directive of header.toLowerCase().split(",")) {
    const [name = "", value = ""] = directive.split("=", 2).map((part) => part.trim());
    if (name === "no-store") [read, write] = [false, false];
    else if (name === "no-cache") read = false;
    else if (name === "max-age" && /^\d{1,9}$/.test(value)) maxAgeMs = Math.min(maxAgeMs, Number(value) * 1000);
  }
  return { read, write, maxAgeMs };
}
