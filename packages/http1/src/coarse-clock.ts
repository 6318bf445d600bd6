/**
 * The clock of a sweep: moves only when told to, and never far at once. A process that was stopped or busy for seconds finds answers waiting
 * in its sockets; it must read them before it calls its peers late.
 */
export class CoarseClock {
  nowMs = 1;
  private lastMs = performance.now();
  private readonly mostMs: number;

  /** @param sweepMs between two ticks, if all goes well */
  constructor(sweepMs: number) {
    this.mostMs = sweepMs * 3;
  }

  tick(): number {
    const realMs = performance.now();
    this.nowMs += Math.min(realMs - this.lastMs, this.mostMs);
    this.lastMs = realMs;
    return this.nowMs;
  }
}
