import { type Nanos, nanosOfDollars } from "@weir/kernel";
import type { ListenAddress } from "./types.ts";

/** Every reader here takes what YAML or an environment variable gives and throws RangeError with a text for the operator. */

const MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "250ms", "60s", "1.5m", "1h30m", "7d" → milliseconds, whole. A bare number is refused: nobody agrees on its unit. */
export function durationMs(text: string | number): number {
  const parts = [
    ...String(text)
      .trim()
      .matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*/gy),
  ];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== String(text).trim().length) {
    throw new RangeError('not a duration: write it as "250ms", "60s", "5m", "1h30m" or "7d"');
  }
  const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * MS[unit as keyof typeof MS], 0);
  if (total > 10 * 365 * MS.d) throw new RangeError("is longer than ten years");
  return Math.round(total);
}

const BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** 1048576, "1MiB", "500 MB" → bytes, whole. */
export function sizeBytes(text: string | number): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(text).trim());
  const unit = BYTES[(match?.[2] ?? "?").toLowerCase()];
  const bytes = Math.round(Number(match?.[1]) * (unit ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new RangeError('not a size: write it as 1048576, "1MiB" or "500MB"');
  return bytes;
}

/** "5%", "0.5%" → a share above 0 and up to 1. A bare number is refused: nobody knows whether it is a share or a percentage. */
export function shareOf(text: string | number): number {
  const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(String(text).trim());
  const share = Number(match?.[1]) / 100;
  if (!(share > 0 && share <= 1)) throw new RangeError('not a share: write it as "5%", above 0% and up to 100%');
  return share;
}

const MOST_NANOS = 2n ** 63n - 1n;

/** Dollars → nano-USD, rounded up. */
export function dollarsNanos(amount: string | number): Nanos {
  const result = nanosOfDollars(amount);
  if (result > MOST_NANOS) throw new RangeError("is more than 9 billion dollars");
  return result;
}

/** "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; ":8080" or 8080 means every address. Port 0: any free one. */
export function listenAddress(text: string | number): ListenAddress {
  const match = /^(?:(\[[0-9a-f:.%]+\]|[^\s:[\]/]*):)?(\d{1,5})$/i.exec(String(text).trim());
  const port = Number(match?.[2] ?? 65_536);
  if (port > 65_535) throw new RangeError('not an address to listen on: write it as "127.0.0.1:8080"');
  const host = (match?.[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  return { host: host === "" ? "0.0.0.0" : host, port };
}
