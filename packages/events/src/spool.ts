import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock, WeirError } from "@weir/kernel";
import { listEpochs, lineOf, readMeta, readSealed } from "./epoch-directory.ts";
import { createEpoch } from "./epoch.ts";
import { LiveSpool } from "./live-spool.ts";
import { lock } from "./lock.ts";
import { type ClaimedEpoch, claimDeadEpochs, type DeadEpoch } from "./recovery.ts";
import { type SegmentFiles, systemFiles } from "./segment-files.ts";

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
  /** So long an outcome waits for a disk that fails before its caller is told. Default 5,000. */
  readonly outcomeWaitMs?: number;
  /** Default 5,000. */
  readonly markEveryMs?: number;
  /** Default 8 MiB, or an eighth of maxBytes. */
  readonly segmentBytes?: number;
  /** Default 60,000. */
  readonly segmentMs?: number;
  /** How often a failing disk is tried. Default 250. */
  readonly probeMs?: number;
  readonly files?: SegmentFiles;
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
   * @param payloadOmitted the caller had to leave out some of the payload, or all
   */
  outcome(intentNumber: number, header: Uint8Array, payload: Uint8Array, payloadOmitted?: boolean): Promise<number>;
  /** Records anything else. Rejects as `intent` does. */
  note(kind: number, header: Uint8Array, payload?: Uint8Array): Promise<number>;
  /**
   * Records the outcome of an intent of a dead epoch, kept as `outcome` is. From then on that epoch does not list it any more, whatever is killed
   * when: it is done exactly once, however often it is asked for.
   */
  resolve(intent: { readonly producer: string; readonly number: number }, header: Uint8Array): Promise<void>;
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
  /**
   * Writes the epoch's end. Nothing can be recorded afterwards.
   * @param options.unsettled something that no outcome tells of is still to be settled: the next process is to recover this epoch
   */
  close(options?: { readonly unsettled: boolean }): Promise<void>;
}

/** Smaller would be full with the first large request. */
const LEAST_BYTES = 256 << 10;
const LOOK_AGAIN_MS = 20;

/**
 * Opens a new epoch and takes over what dead ones left. Resolves once its epoch-open is written.
 * @throws RangeError for options that cannot be meant, and the disk's own error where the directory cannot be written
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { directory, instance, worker = 0, maxBytes, strict, clock, files = systemFiles } = options;
  const line = lineOf(instance, worker);
  if (!(maxBytes >= LEAST_BYTES)) throw new RangeError(`maxBytes is ${maxBytes}, at least ${LEAST_BYTES} are needed`);
  mkdirSync(join(directory, line), { recursive: true, mode: 0o700 });
  // One process at a time looks for dead epochs and names the one before its own.
  const opening = join(directory, ".opening");
  mkdirSync(opening, { recursive: true });
  const held = await lock(opening, LOOK_AGAIN_MS);
  try {
    const claimed = await claimDeadEpochs(directory);
    try {
      const previous = previousEpoch(directory, line);
      const epoch = await createEpoch(directory, line, {
        ordinal: (previous?.ordinal ?? 0) + 1,
        settlements: options.settlements === true,
      });
      // Files that are synced are of no use in a folder whose name a power loss forgets.
      if (strict) for (const folder of [join(directory, line), directory]) files.syncDirectory(folder);
      const spool = new LiveSpool({
        place: epoch.place,
        lock: epoch.lock,
        claimed,
        counted: countedFolders(directory, line, claimed),
        files,
        maxBytes,
        strict,
        settlements: options.settlements === true,
        monotonicMs: () => clock.monotonicMs(),
        mark: options.mark,
        epochClose: options.epochClose,
        segmentBytes: options.segmentBytes ?? Math.min(8 << 20, Math.floor(maxBytes / 8)),
        segmentMs: options.segmentMs ?? 60_000,
        probeMs: options.probeMs ?? 250,
        outcomeWaitMs: options.outcomeWaitMs ?? 5_000,
      });
      await spool.begin(options.epochOpen(previous), options.markEveryMs ?? 5_000);
      return spool;
    } catch (error) {
      for (const { lock: epochLock } of claimed) epochLock.release();
      throw error;
    }
  } finally {
    held?.release();
  }
}

/** What this line left and what it took over: the bound holds for all of it together. */
function countedFolders(directory: string, line: string, claimed: readonly ClaimedEpoch[]): string[] {
  const ended = listEpochs(directory).filter((place) => place.line === line && readSealed(place) !== undefined);
  return [...new Set([...ended, ...claimed.map(({ place }) => place)].map(({ path }) => path))];
}

/** The latest epoch of this line that has ended and had a beginning: its successor vouches for its last number. */
function previousEpoch(
  directory: string,
  line: string,
): { producer: string; lastNumber: number; ordinal: number } | undefined {
  const ended = listEpochs(directory)
    .filter((place) => place.line === line)
    .map((place) => ({
      producer: place.producer,
      lastNumber: readSealed(place) ?? 0,
      ordinal: readMeta(place).ordinal,
    }))
    .filter(({ lastNumber }) => lastNumber > 0);
  return ended.sort((a, b) => b.ordinal - a.ordinal)[0];
}
