import { WeirError } from "@weir/kernel";

/** What a client asks of the cache, by `cache-control` (RFC 9111 §5.2.1) and by `x-weir-cache`. */
export interface CacheControl {
  /** A kept answer will do. */
  readonly read: boolean;
  /** This request's answer may be kept. */
  readonly write: boolean;
  /** Not older than this; Infinity: of any age. */
  readonly maxAgeMs: number;
  /** A question that is put in other words will do. */
  readonly semantic: boolean;
}

const PLAIN: CacheControl = { read: true, write: true, maxAgeMs: Number.POSITIVE_INFINITY, semantic: true };

/**
 * What is not understood of `cache-control` is passed over, as the RFC wants.
 * @param most `x-weir-cache`: the most that is wanted, of off, exact, semantic
 * @throws WeirError invalid_request for another word of Weir's own
 */
export function cacheControlOf(header: string | undefined, most?: string): CacheControl {
  if (!header && !most) return PLAIN;
  let { read, write, maxAgeMs } = PLAIN;
  for (const directive of header?.toLowerCase().split(",") ?? []) {
    const [name = "", value = ""] = directive.split("=", 2).map((part) => part.trim());
    if (name === "no-store") [read, write] = [false, false];
    else if (name === "no-cache") read = false;
    else if (name === "max-age" && /^\d{1,9}$/.test(value)) maxAgeMs = Math.min(maxAgeMs, Number(value) * 1000);
  }
  const word = (most ?? "").trim().toLowerCase();
  if (!["", "off", "exact", "semantic"].includes(word))
    throw new WeirError("invalid_request", "x-weir-cache is off, exact or semantic.", { param: "x-weir-cache" });
  if (word === "off") [read, write] = [false, false];
  return { read, write, maxAgeMs, semantic: word !== "exact" };
}
