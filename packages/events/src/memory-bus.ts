import {
  type Batch,
  type BatchHandler,
  type Bus,
  BusUnavailableError,
  type GiveUp,
  type SubscribeOptions,
  type Subscription,
} from "./bus.ts";

export interface MemoryBusOptions {
  /** Of all batches that some consumer still needs; publish waits for room. Default 64 MiB. */
  readonly maxBytes?: number;
  /**
   * Consumers that get everything from the beginning, whenever they subscribe. Others get what is published from then on; only the first of all
   * gets what was there before it.
   */
  readonly consumers?: readonly string[];
  /** After a handler has failed; doubled up to 5,000. Default 50. */
  readonly retryMs?: number;
}

/** A bus inside one thread. It forgets everything with it; relays send again what was not confirmed. */
export const memoryBus = (options: MemoryBusOptions = {}): Bus => new MemoryBus(options);

interface Entry {
  readonly batch: Batch;
  /** Consumers that still need it. */
  needed: number;
}

interface Delivery {
  readonly entry: Entry;
  failures: number;
}

const MAX_GROUP = 100;
const LONGEST_WAIT_MS = 5_000;

class MemoryBus implements Bus {
  readonly #maxBytes: number;
  readonly #retryMs: number;
  readonly #consumers = new Map<string, Consumer>();
  readonly #early: Entry[] = [];
  readonly #waiting: { readonly entry: Entry; readonly taken: (error?: Error) => void }[] = [];
  #bytes = 0;
  #closed = false;

  constructor({ maxBytes = 64 << 20, consumers = [], retryMs = 50 }: MemoryBusOptions) {
    this.#maxBytes = maxBytes;
    this.#retryMs = retryMs;
    for (const name of consumers) this.#consumer(name);
  }

  publish(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      if (this.#closed) return taken(new BusUnavailableError("the bus is closed"));
      this.#waiting.push({ entry: { batch, needed: 0 }, taken });
      this.#admit();
    });
  }

  async subscribe(name: string, handler: BatchHandler, options: SubscribeOptions = {}): Promise<Subscription> {
    if (this.#closed) throw new BusUnavailableError("the bus is closed");
    const consumer = this.#consumer(name);
    for (const entry of this.#early.splice(0)) consumer.queue.push({ entry, failures: 0 });
    return new MemorySubscription(consumer, handler, options, this.#retryMs, (entry) => this.#release(entry));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { taken } of this.#waiting.splice(0)) taken(new BusUnavailableError("the bus is closed"));
    const subscriptions = [...this.#consumers.values()].flatMap((consumer) => [...consumer.subscriptions]);
    await Promise.all(subscriptions.map((subscription) => subscription[Symbol.asyncDispose]()));
  }

  #consumer(name: string): Consumer {
    let consumer = this.#consumers.get(name);
    if (consumer === undefined) {
      consumer = new Consumer();
      this.#consumers.set(name, consumer);
    }
    return consumer;
  }

  /** In the order of asking; one that is larger than all room is taken when nothing else is there. */
  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { entry, taken } = next;
      const bytes = entry.batch.data.length;
      if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) return;
      this.#waiting.shift();
      this.#bytes += bytes;
      // Nobody is there yet: the first who comes gets it.
      entry.needed = Math.max(1, this.#consumers.size);
      if (this.#consumers.size === 0) this.#early.push(entry);
      for (const consumer of this.#consumers.values()) consumer.add({ entry, failures: 0 });
      taken();
    }
  }

  #release(entry: Entry): void {
    entry.needed -= 1;
    if (entry.needed > 0) return;
    this.#bytes -= entry.batch.data.length;
    this.#admit();
  }
}

/** What one name still has to get. */
class Consumer {
  queue: Delivery[] = [];
  readonly subscriptions = new Set<MemorySubscription>();

  add(delivery: Delivery): void {
    this.queue.push(delivery);
    for (const subscription of this.subscriptions) subscription.wake();
  }

  /** Up to a group; what has failed before comes alone, so that its neighbours are not held up by it. */
  take(): Delivery[] {
    const [first] = this.queue;
    if (first === undefined) return [];
    if (first.failures > 0) return this.queue.splice(0, 1);
    const failed = this.queue.findIndex(({ failures }, index) => failures > 0 || index >= MAX_GROUP);
    return this.queue.splice(0, failed < 0 ? this.queue.length : failed);
  }
}

class MemorySubscription implements Subscription {
  readonly #consumer: Consumer;
  readonly #handler: BatchHandler;
  readonly #giveUp: GiveUp | undefined;
  readonly #retryMs: number;
  readonly #release: (entry: Entry) => void;
  readonly #running: Promise<void>;
  #closed = false;
  #wake: (() => void) | undefined;
  lastError: unknown;
  deadLetters = 0;

  constructor(
    consumer: Consumer,
    handler: BatchHandler,
    { giveUp }: SubscribeOptions,
    retryMs: number,
    release: (entry: Entry) => void,
  ) {
    this.#consumer = consumer;
    this.#handler = handler;
    this.#giveUp = giveUp;
    this.#retryMs = retryMs;
    this.#release = release;
    consumer.subscriptions.add(this);
    this.#running = this.#run();
  }

  wake(): void {
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const group = this.#consumer.take();
      if (group.length === 0) await this.#pause(undefined);
      else await this.#deliver(group);
    }
    this.#consumer.subscriptions.delete(this);
  }

  async #deliver(group: Delivery[]): Promise<void> {
    try {
      await this.#handler(group.map(({ entry }) => entry.batch));
    } catch (error) {
      this.lastError = error;
      return await this.#failed(group, error);
    }
    this.lastError = undefined;
    for (const { entry } of group) this.#release(entry);
  }

  async #failed(group: Delivery[], reason: unknown): Promise<void> {
    const again: Delivery[] = [];
    for (const delivery of group) {
      delivery.failures += 1;
      if (!(await this.#putAside(delivery, reason))) {
        again.push(delivery);
        continue;
      }
      this.deadLetters += 1;
      this.#release(delivery.entry);
    }
    const [first] = again;
    if (first === undefined) return;
    this.#consumer.queue = [...again, ...this.#consumer.queue];
    await this.#pause(Math.min(this.#retryMs * 2 ** Math.min(first.failures - 1, 20), LONGEST_WAIT_MS));
  }

  /** @returns false where it has to be delivered again */
  async #putAside({ entry, failures }: Delivery, reason: unknown): Promise<boolean> {
    if (this.#giveUp === undefined || failures < this.#giveUp.after) return false;
    try {
      await this.#giveUp.putAside(entry.batch, reason);
      return true;
    } catch (error) {
      this.lastError = error;
      return false;
    }
  }

  /** Until woken: by something new (where no time is given), or the end. */
  #pause(ms: number | undefined): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        if (ms !== undefined && !this.#closed) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
