import type { Clock, WeirError } from "@weir/kernel";

export interface SpoolOptions {
  /** Shared with the other spools of this machine and with the relay; one per file system that keeps it over restarts. */
  readonly directory: string;
  /** Stable over restarts. */
  readonly instance: string;
  /** Tells the processes of one instance apart. Default 0. */
  readonly worker?: number;
  /** At this size intents are refused. */
  readonly maxBytes: number;
  /** fdatasync before anything counts as written. */
  readonly strict: boolean;
  readonly clock: Clock;
  /** The header of number 1. `previous`: the epoch before this one, undefined if none was found. */
  readonly epochOpen: (previous: { readonly producer: string; readonly lastNumber: number } | undefined) => Uint8Array;
  readonly mark: () => Uint8Array;
  readonly epochClose: () => Uint8Array;
  /**
   * Whether the caller tells by `settled` which outcomes are settled. Then segments stay until they are, and a dead epoch lists those that
   * were not. Default false.
   */
  readonly settlements?: boolean;
}

/** The local durable log of one process: what is in it survives the process. */
export interface Spool {
  /** "instance.worker.epoch". */
  readonly producer: string;
  /**
   * Records that something is about to be done. Resolves with its number once it is written.
   * @param reserve bytes that the header of its outcome may have: that room is kept for it
   * @throws WeirError audit_unavailable (with retryAfterMs) when there is no room or the disk fails: then nothing was recorded
   */
  intent(header: Uint8Array, payload: Uint8Array, reserve: number): Promise<number>;
  /**
   * Records what became of an intent. Resolves with its own number once it is written. Always has room. While the disk fails it waits, and
   * rejects with audit_unavailable after `outcomeWaitMs`; it is written all the same when the disk works again.
   */
  outcome(intentNumber: number, header: Uint8Array, payload: Uint8Array): Promise<number>;
  /** Records anything else. Rejects as `intent` does. */
  note(kind: number, header: Uint8Array, payload?: Uint8Array): Promise<number>;
  /**
   * Records the outcome of an intent of a dead epoch. From then on that epoch does not list it any more, whatever is killed when: it is done
   * exactly once.
   */
  resolve(intent: { readonly producer: string; readonly number: number }, header: Uint8Array): Promise<number>;
  /** Epochs whose process died, or that were closed with something open; locked, so that no other process recovers them, too. */
  readonly recovered: readonly DeadEpoch[];
  /** All its open intents are resolved and its settlements are done: it may be forgotten once it is confirmed. */
  recoveredDone(producer: string): void;
  /** All outcomes with this number or a lower one are settled. Written down soon. */
  settled(number: number): void;
  /** Bytes on disk that are not confirmed yet, and those reserved. */
  readonly bytes: number;
  /** Open intents. */
  readonly depth: number;
  /** Why nothing can be recorded right now. */
  readonly failed: WeirError | undefined;
  /** Writes the epoch's end. Nothing can be recorded afterwards. */
  close(): Promise<void>;
}

export interface DeadEpoch {
  readonly producer: string;
  readonly lastNumber: number;
  /** Intents without an outcome, by number. */
  readonly open: readonly OpenIntent[];
  /** Outcomes that were not settled, in their order; read from disk as they are asked for. Empty without `settlements`. */
  unsettled(): Iterable<UnsettledOutcome>;
}

export interface OpenIntent {
  readonly number: number;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

export interface UnsettledOutcome {
  readonly number: number;
  readonly intentNumber: number;
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
}

export async function openSpool(options: SpoolOptions): Promise<Spool> {
  throw new Error(`the spool in ${options.directory} cannot be opened yet`);
}
