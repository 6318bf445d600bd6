/** Time for flows and adapters; decisions take `nowMs` as an argument. */
export interface Clock {
  /** Milliseconds since 1970, may step. */
  nowMs(): number;
  /** Milliseconds from an unknown start, never steps; for durations. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
