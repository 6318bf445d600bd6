/**
 * What carries batches from relays to consumers. It is transport, never the only copy: a relay keeps what it published until audit confirms
 * it, and sends it again.
 */
export interface Batch {
  readonly producer: string;
  /** The lowest and the highest number of its frames; what is between need not be in it. */
  readonly first: number;
  readonly last: number;
  /** Frames: read them with decodeFrames. Valid for the time of the handler's call, and after it only as a copy. */
  readonly data: Uint8Array;
}

export interface Bus extends AsyncDisposable {
  /**
   * Resolves when the bus has it, which may be a second time. Batches of one caller stay in their order as long as none is rejected.
   * MUST reject soon (BusUnavailableError) when the bus is away; what was rejected may have arrived all the same.
   */
  publish(batch: Batch): Promise<void>;
  /**
   * Delivers every batch to each consumer name at least once; several subscriptions of one name share them. A name is durable: what comes
   * while nobody subscribes under it is kept for it. The handler resolves: acknowledged. It rejects: all of them are delivered again, with
   * backoff, one by one, forever or until the consumer gives up. One call at a time. Resolves at once, also while the bus is away.
   */
  subscribe(consumer: string, handler: BatchHandler, options?: SubscribeOptions): Promise<Subscription>;
}

export type BatchHandler = (batches: Batch[]) => Promise<void>;

export interface SubscribeOptions {
  /** For consumers that derive something (never for audit): so that nobody waits behind what cannot be handled. Default: never. */
  readonly giveUp?: GiveUp;
}

export interface GiveUp {
  /** Deliveries that have failed. */
  readonly after: number;
  /** Resolves when the batch is kept elsewhere (see DeadLetters); where it rejects, the batch is delivered again. */
  readonly putAside: (batch: Batch, error: unknown) => Promise<void>;
}

export interface Subscription extends AsyncDisposable {
  /** Why nothing comes right now, or why the last delivery failed; undefined after one that succeeded. */
  readonly lastError: unknown;
  /** Batches put aside so far. */
  readonly deadLetters: number;
}

/** The bus cannot take a batch right now. */
export class BusUnavailableError extends Error {
  override readonly name = "BusUnavailableError";
}
