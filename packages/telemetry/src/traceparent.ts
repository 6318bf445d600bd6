import { randomFillSync } from "node:crypto";

/** W3C Trace Context, level 1: `00-<trace id>-<parent id>-<flags>`. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const PATTERN = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);

/** Undefined for what is not a valid traceparent: the trace then starts here, as the specification says. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const match = PATTERN.exec(text);
  const [, traceId = NO_TRACE, spanId = NO_SPAN, flags = "00", more] = match ?? [];
  if (match === null || traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  if (more !== undefined && text.startsWith("00")) return undefined; // version 00 ends after the flags
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const renderTraceparent = (parent: TraceParent): string =>
  `00-${parent.traceId}-${parent.spanId}-${parent.sampled ? "01" : "00"}`;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const pool = new Uint8Array(24 * 512);
let used = pool.length;

/** Begins a trace that nobody records, so that the services behind do not begin one of their own. */
export function unsampledTraceparent(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  let text = "00-";
  for (let index = 0; index < 24; index++) {
    text += HEX[pool[used + index] ?? 0];
    if (index === 15) text += "-";
  }
  used += 24;
  return `${text}-00`;
}
