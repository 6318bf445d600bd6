import { type Batch, decodeFrames, FRAME_KIND, type Frame } from "../src/index.ts";

interface Line {
  readonly records: Map<number, Frame>;
  readonly accounted: Set<number>;
  readonly quarantined: Map<string, Frame>;
  contiguous: number;
}

/** What audit is to a relay: idempotent by (producer, number), and it knows up to where nothing is missing. */
export class TestLog {
  readonly #lines = new Map<string, Line>();
  duplicates = 0;

  async store(batches: readonly Batch[]): Promise<void> {
    for (const { producer, data } of batches) {
      const line = this.#line(producer);
      for (const frame of decodeFrames(Buffer.from(data)).frames) this.#add(line, frame);
      while (line.accounted.has(line.contiguous + 1)) line.contiguous += 1;
    }
  }

  async watermarks(producers: string[]): Promise<{ producer: string; contiguous: number }[]> {
    return producers.map((producer) => ({ producer, contiguous: this.contiguous(producer) }));
  }

  contiguous(producer: string): number {
    return this.#lines.get(producer)?.contiguous ?? 0;
  }

  /** In the order of their numbers. */
  frames(producer: string): Frame[] {
    return [...this.#line(producer).records.values()].sort((a, b) => a.number - b.number);
  }

  headers(producer: string): string[] {
    return this.frames(producer).map(({ header }) => Buffer.from(header).toString());
  }

  quarantined(producer: string): Frame[] {
    return [...this.#line(producer).quarantined.values()];
  }

  #add(line: Line, frame: Frame): void {
    if (frame.kind === FRAME_KIND.quarantined) {
      for (let number = frame.number; number > 0 && number <= frame.ref; number += 1) line.accounted.add(number);
      line.quarantined.set(`${frame.number}-${frame.ref}`, frame);
      return;
    }
    const known = line.records.get(frame.number);
    if (known !== undefined) {
      this.duplicates += 1;
      if (!Buffer.from(known.header).equals(frame.header)) throw new Error(`two records have number ${frame.number}`);
      return;
    }
    line.records.set(frame.number, frame);
    line.accounted.add(frame.number);
    if (frame.ref > 0 && frame.origin === "") line.accounted.add(frame.ref);
  }

  #line(producer: string): Line {
    let line = this.#lines.get(producer);
    if (line === undefined) {
      line = { records: new Map(), accounted: new Set(), quarantined: new Map(), contiguous: 0 };
      this.#lines.set(producer, line);
    }
    return line;
  }
}
