import type { Refusal } from "./record.ts";

/** Above so many a second and key, refusals are counted instead of written one by one: a loop must not fill the disk. */
export const SINGLY_PER_WINDOW = 10;

interface Counted {
  written: number;
  /** The aggregate by reason and route, with the first request's data. */
  readonly rest: Map<string, Refusal>;
}

/** Refusals between two calls of `take`, which the owner makes once a second. */
export class RefusalWindow {
  #byKey = new Map<string, Counted>();

  /** @returns the refusal if it is to be written by itself */
  add(refusal: Refusal): Refusal | undefined {
    let counted = this.#byKey.get(refusal.keyId);
    if (counted === undefined) this.#byKey.set(refusal.keyId, (counted = { written: 0, rest: new Map() }));
    if (counted.written < SINGLY_PER_WINDOW) {
      counted.written += 1;
      return refusal;
    }
    const like = `${refusal.reason} ${refusal.route} ${refusal.rule}`;
    const sum = counted.rest.get(like);
    counted.rest.set(like, sum === undefined ? refusal : { ...sum, count: sum.count + refusal.count });
    return undefined;
  }

  /** The aggregates of the window that ends now. */
  take(): Refusal[] {
    const aggregates = [...this.#byKey.values()].flatMap((counted) => [...counted.rest.values()]);
    this.#byKey = new Map();
    return aggregates;
  }
}
