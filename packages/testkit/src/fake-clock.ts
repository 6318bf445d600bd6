import type { Clock } from "@weir/kernel";

export interface FakeClock extends Clock {
  /** Time passes: both clocks go on by `ms` (>= 0). */
  advance(ms: number): void;
  /** Somebody sets the wall clock, forwards or backwards; the monotonic clock does not see it. */
  step(ms: number): void;
}

/** A clock that stands still until told. Starts at 2026-01-01T00:00:00Z unless told otherwise. */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let wallMs = startMs;
  let monotonicMs = 0;
  return {
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`time does not pass by ${ms} ms`);
      wallMs += ms;
      monotonicMs += ms;
    },
    step(ms) {
      wallMs += ms;
    },
  };
}
