import { durationMs } from "@weir/config";
import { UsageError } from "./command.ts";

/** "24h" (ago), "2026-11-21" or "2026-11-21T12:00:00Z"; 0 where it is not given. */
export function instant(name: string, text: string | undefined): bigint {
  if (text === undefined) return 0n;
  const at = Date.parse(text);
  if (!Number.isNaN(at) && /^\d{4}-/.test(text)) return BigInt(at);
  try {
    return BigInt(Date.now() - durationMs(text));
  } catch {
    throw new UsageError(`--${name} is a time (2026-11-21T12:00:00Z) or how long ago it was (24h)`);
  }
}
