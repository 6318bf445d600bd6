import { rmSync } from "node:fs";
import { isRecovered, listEpochs } from "./epoch-directory.ts";
import { EpochTail } from "./epoch-tail.ts";

/** The epochs below a spool directory, live and dead. */
export class Tails {
  readonly #directory: string;
  readonly #firstWatermarkMs: number;
  readonly #tails = new Map<string, EpochTail>();

  constructor(directory: string, firstWatermarkMs: number) {
    this.#directory = directory;
    this.#firstWatermarkMs = firstWatermarkMs;
  }

  all(): EpochTail[] {
    return [...this.#tails.values()];
  }

  of(producer: string): EpochTail | undefined {
    return this.#tails.get(producer);
  }

  /** Those that may be shipped. The log is asked first, as it may have most of what lies there; but it need not be there to answer. */
  ready(sinceStartMs: number): EpochTail[] {
    const waited = sinceStartMs >= this.#firstWatermarkMs;
    return this.all().filter((tail) => (waited || tail.confirmed !== undefined) && !tail.finished);
  }

  /** Finds new epochs, and what is new about known ones. */
  look(): void {
    const places = listEpochs(this.#directory);
    const there = new Set(places.map(({ producer }) => producer));
    for (const [producer, tail] of this.#tails) {
      if (there.has(producer)) continue;
      tail.close();
      this.#tails.delete(producer);
    }
    for (const place of places) {
      const tail = this.#tails.get(place.producer);
      if (tail === undefined) this.#tails.set(place.producer, new EpochTail(place));
      else tail.refresh();
    }
  }

  /** Deletes what is confirmed: segments, and whole epochs once another one of their line has named them as its predecessor. */
  forget(): void {
    const isDone = (producer: string): boolean => {
      const tail = this.#tails.get(producer);
      return tail === undefined || isRecovered(tail.place);
    };
    for (const tail of this.all()) tail.forget(isDone);
    for (const tail of this.all()) {
      if (!tail.finished || !isRecovered(tail.place) || !this.#isNamed(tail)) continue;
      tail.close();
      rmSync(tail.place.path, { recursive: true, force: true });
      this.#tails.delete(tail.place.producer);
    }
  }

  close(): void {
    for (const tail of this.all()) tail.close();
    this.#tails.clear();
  }

  #isNamed(tail: EpochTail): boolean {
    const { line } = tail.place;
    return this.all().some(
      ({ place, meta, lastNumber }) => place.line === line && meta.ordinal > tail.meta.ordinal && lastNumber > 0,
    );
  }
}
