/**
 * How slow a target is, as a moving average that jumps to each peak and forgets slowly: one that became slow is left at once, and tried
 * again after a while. As in Finagle's "Peak EWMA" and the paper it follows (Dean and Barroso, "The Tail at Scale", 2013, on balancing by latency).
 */
export interface PeakEwma {
  /** 0: nothing was seen yet. */
  readonly valueMs: number;
  readonly atMs: number;
}

export const UNSEEN: PeakEwma = { valueMs: 0, atMs: 0 };

/** After so long without news an observation weighs 1/e of what it did. */
const FORGET_MS = 10_000;

/** @param nowMs monotonic */
export function observed({ valueMs, atMs }: PeakEwma, latencyMs: number, nowMs: number): PeakEwma {
  if (latencyMs >= valueMs) return { valueMs: latencyMs, atMs: nowMs };
  const kept = Math.exp(-Math.max(0, nowMs - atMs) / FORGET_MS);
  return { valueMs: valueMs * kept + latencyMs * (1 - kept), atMs: nowMs };
}

/** What it counts as now: without news it fades, so that a target that nobody calls is called again. */
export const faded = ({ valueMs, atMs }: PeakEwma, nowMs: number): number =>
  valueMs * Math.exp(-Math.max(0, nowMs - atMs) / FORGET_MS);
