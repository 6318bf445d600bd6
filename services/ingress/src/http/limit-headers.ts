import type { LimitState } from "../ports.ts";
import { line } from "./headers.ts";

/** A duration as OpenAI's headers have it, which is Go's way: "6m0s", "1.5s", "20ms". */
export function durationText(ms: number): string {
  if (ms <= 0) return "0s";
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const whole = Math.ceil(ms);
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor(whole / 60_000) % 60;
  const seconds = (whole % 60_000) / 1000;
  const [h, m] = [hours > 0 ? `${hours}h` : "", hours > 0 || minutes > 0 ? `${minutes}m` : ""];
  return `${h}${m}${seconds}s`;
}

/** draft-ietf-httpapi-ratelimit-headers has names for two of our units; tokens have none yet. */
const QUOTA_UNITS: Readonly<Record<string, string>> = { requests: "", concurrency: ';qu="concurrent-requests"' };
const quotaUnit = (unit: string): string => QUOTA_UNITS[unit] ?? `;qu="${unit}"`;

/**
 * What a client may know of the limits that its request was held against: `x-ratelimit-*` as OpenAI writes them, of the tightest limit per
 * unit; and all of them as `ratelimit-policy` and `ratelimit` (draft-ietf-httpapi-ratelimit-headers-11). What is left is what may come at
 * once now, and the reset is when all of it is there again.
 * @param limits the tightest first
 */
export function limitHeaders(limits: readonly LimitState[]): string {
  if (limits.length === 0) return "";
  let text = "";
  const seen = new Set<string>();
  const policies: string[] = [];
  const states: string[] = [];
  for (const { unit, limit, remaining, resetMs, windowMs, name } of limits) {
    const left = Math.max(0, remaining);
    if (!seen.has(unit)) {
      seen.add(unit);
      text += line(`x-ratelimit-limit-${unit}`, limit);
      text += line(`x-ratelimit-remaining-${unit}`, left);
      if (windowMs > 0) text += line(`x-ratelimit-reset-${unit}`, durationText(resetMs));
    }
    // Of an older policy.
    if (name === "") continue;
    policies.push(`"${name}";q=${limit}${windowMs > 0 ? `;w=${Math.ceil(windowMs / 1000)}` : ""}${quotaUnit(unit)}`);
    states.push(`"${name}";r=${left}${windowMs > 0 ? `;t=${Math.ceil(resetMs / 1000)}` : ""}`);
  }
  return policies.length === 0
    ? text
    : text + line("ratelimit-policy", policies.join(", ")) + line("ratelimit", states.join(", "));
}
