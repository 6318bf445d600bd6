/** One call's items, on their way through group commits. */
interface Entry<R> {
  readonly resolve: (results: R[]) => void;
  readonly reject: (error: unknown) => void;
  readonly results: R[];
  missing: number;
}

interface Item<T, R> {
  readonly value: T;
  readonly entry: Entry<R>;
  readonly index: number;
}

/** Items that wait for the next commit, of one kind. */
export class Lane<T extends { readonly requestId: string; readonly attempt: number }, R> {
  #waiting: Item<T, R>[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  add(values: readonly T[]): Promise<R[]> {
    if (values.length === 0) return Promise.resolve([]);
    const { promise, resolve, reject } = Promise.withResolvers<R[]>();
    const entry = { resolve, reject, results: [], missing: values.length };
    for (let index = 0; index < values.length; index++) this.#waiting.push({ value: values[index] as T, entry, index });
    return promise;
  }

  /** Takes the next batch, in order. A second item for the same attempt waits for the batch after: the first decides what it finds. */
  next(most: number): LaneBatch<T, R> {
    const names = new Set<string>();
    const batch: Item<T, R>[] = [];
    const later: Item<T, R>[] = [];
    for (const item of this.#waiting) {
      const name = `${item.value.requestId}/${item.value.attempt}`;
      if (batch.length < most && !names.has(name)) {
        names.add(name);
        batch.push(item);
      } else {
        later.push(item);
      }
    }
    this.#waiting = later;
    return new LaneBatch(batch);
  }

  rejectAll(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const item of waiting) item.entry.reject(error);
  }
}

export class LaneBatch<T, R> {
  readonly #items: readonly Item<T, R>[];
  readonly values: readonly T[];

  constructor(items: readonly Item<T, R>[]) {
    this.#items = items;
    this.values = items.map((item) => item.value);
  }

  resolve(results: readonly R[]): void {
    for (let at = 0; at < this.#items.length; at++) {
      const { entry, index } = this.#items[at] as Item<T, R>;
      entry.results[index] = results[at] as R;
      if (--entry.missing === 0) entry.resolve(entry.results);
    }
  }

  reject(error: unknown): void {
    for (const item of this.#items) item.entry.reject(error);
  }

  /** The batch again as batches of one, to find the item that cannot be written. */
  singles(): LaneBatch<T, R>[] {
    return this.#items.map((item) => new LaneBatch([item]));
  }
}
