/**
 * What one limiter would have let through of what Redis was asked, in the order and at the times at which Redis was asked it: read from Redis
 * itself (MONITOR), and worked out anew by the rule alone: a take fits where it does not lead the steady rate by more than the burst.
 */
interface SerialTake {
  readonly bucket: string;
  readonly kind: number;
  /** Of a rate: its increment and tolerance, in microseconds. */
  readonly incUs: number;
  readonly toleranceUs: number;
}

export class SerialLimiter {
  readonly #tats = new Map<string, number>();
  readonly #admitted = new Set<string>();

  admitted(requestId: string): boolean {
    return this.#admitted.has(requestId);
  }

  /** One line of MONITOR. A take is known by how long it is remembered: see redis-lua.ts for what follows. */
  see(time: string, [command = "", , , , , ...argv]: readonly string[]): void {
    if (!/^eval/i.test(command) || argv[1] !== "10000000") return;
    const [seconds = "0", micros = "0"] = time.split(".");
    const nowUs = Number(seconds) * 1_000_000 + Number(micros.padEnd(6, "0"));
    for (let at = 3; at < argv.length; ) {
      const id = argv[at] as string;
      const count = Number(argv[at + 1]);
      const takes = Array.from({ length: count }, (_, index): SerialTake => {
        const [bucket = "", kind, incUs, toleranceUs] = argv.slice(at + 2 + index * 6);
        return { bucket, kind: Number(kind), incUs: Number(incUs), toleranceUs: Number(toleranceUs) };
      });
      at += 2 + count * 6;
      this.#take(id, takes, nowUs);
    }
  }

  #take(id: string, takes: readonly SerialTake[], nowUs: number): void {
    // Slots are not a matter of time alone.
    if (this.#admitted.has(id) || takes.some(({ kind }) => kind === 4)) return;
    const leads = takes.map(({ bucket, incUs }) => (this.#tats.get(bucket) ?? -Infinity) + incUs);
    if (leads.some((lead, index) => lead - (takes[index] as SerialTake).toleranceUs > nowUs)) return;
    for (const { bucket, incUs } of takes) this.#tats.set(bucket, Math.max(this.#tats.get(bucket) ?? 0, nowUs) + incUs);
    this.#admitted.add(id);
  }
}
