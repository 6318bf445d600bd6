import type { EpochMark, SignedHead, Subtree } from "@weir/proofs";
import type { SigningKeyFacts } from "./domain/head.ts";
import type { LogLeaf } from "./domain/log-leaf.ts";
import type { Gap, LogEntry, LogFilter, ModelTotal, SealedPayload, Watermark } from "./domain/log-entry.ts";
import type { Cursor } from "./domain/page.ts";
import type { LogRecord } from "./domain/record.ts";
import type { RecordedCall } from "./domain/repricing.ts";

/**
 * Writes to the log. MUST store all records or none, MUST pass over those that are there already (by producer and number), and MUST NOT
 * resolve before they would survive a crash of the store. Rejects with WeirError audit_unavailable when the store is away (it may have
 * stored them all the same), and with any other error when it refuses these records.
 */
export interface LogWriter {
  /** Resolves with how many were new. */
  append(records: readonly LogRecord[]): Promise<number>;
}

/** Reads from the log. Rejects with WeirError audit_unavailable when the store is away. */
export interface LogReader {
  /** All of a request, oldest first. */
  ofRequest(requestId: string): Promise<LogEntry[]>;
  /** Of those, what is sealed. */
  payloadsOfRequest(requestId: string): Promise<SealedPayload[]>;
  /** At most `limit`, newest first, after `after`. */
  list(filter: LogFilter, after: Cursor | undefined, limit: number): Promise<LogEntry[]>;
  /** One per producer asked for; `contiguous` 0 for those it has never heard of. */
  watermarks(producers: readonly string[]): Promise<Watermark[]>;
  /** At most `limit`. */
  gaps(limit: number): Promise<Gap[]>;
  summarize(workspaceId: string, from: number | undefined, to: number | undefined): Promise<ModelTotal[]>;
}

/** The key pair that producers seal payloads to. Its private half MUST NOT be in the store that holds what it opens. */
export interface TransportKey {
  /** X25519, 32 bytes. Made where there is none. @throws WeirError internal where it can be neither read nor made */
  publicKey(): Uint8Array;
  /**
   * @param requestId what it was sealed for
   * @throws WeirError not_found where it is sealed to a key that is not here; internal for bytes that were changed
   */
  open(sealed: Uint8Array, requestId: string): Uint8Array;
}

export interface StoredHead extends SignedHead {
  readonly size: number;
}

export interface NewKey {
  readonly id: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly endorsement: Uint8Array;
}

/** One look at the log, all of the same moment, and what is added to it in one transaction. */
export interface HeadSession {
  logId(): Promise<Uint8Array>;
  /** How many leaves there are. */
  size(): Promise<number>;
  lastHead(): Promise<StoredHead | undefined>;
  /** Oldest first. */
  signingKeys(): Promise<SigningKeyFacts[]>;
  /** The roots of the full subtrees of the tree of `size` leaves, the largest first. */
  peaks(size: number): Promise<Uint8Array[]>;
  /** Of the leaves from `from` to before `to`. */
  leafHashes(from: number, to: number): Promise<Uint8Array[]>;
  /** Of epochs that those leaves are of or answer. */
  movedEpochs(from: number, to: number): Promise<EpochMark[]>;
  /** MUST take nodes that are there already. */
  addNodes(nodes: readonly (Subtree & { readonly hash: Uint8Array })[]): Promise<void>;
  addHead(head: StoredHead): Promise<void>;
  addKey(key: NewKey): Promise<void>;
}

/** Rejects with WeirError audit_unavailable when the store is away. */
export interface HeadStore {
  /** Runs `work` in a transaction, alone among all replicas. @returns undefined where another one is at it */
  alone<T>(work: (session: HeadSession) => Promise<T>): Promise<T | undefined>;
  /** Heads that a place does not have, oldest first. */
  unpublished(place: string, limit: number): Promise<StoredHead[]>;
  markPublished(place: string, size: number): Promise<void>;
  signingKeys(): Promise<SigningKeyFacts[]>;
}

/** Where heads go beside the database. */
export interface HeadPlace {
  readonly name: string;
  /** MUST NOT resolve before the head would survive a crash of this process. May be given the same head again. */
  publish(head: StoredHead, keys: readonly SigningKeyFacts[]): Promise<void>;
}

/** The keys that sign heads; their private halves MUST NOT be in the store of what they sign. */
export interface SigningKeys {
  /**
   * @param id the log's last key; undefined: it has none, and one is made
   * @throws WeirError internal where this process does not have that key
   */
  current(id: Uint8Array | undefined): {
    readonly id: Uint8Array;
    readonly publicKey: Uint8Array;
    sign(message: Uint8Array): Uint8Array;
  };
  /** A key for the time after the present one: made, and kept until `current` is asked for it. */
  next(): { readonly id: Uint8Array; readonly publicKey: Uint8Array };
}

/** What proofs and exports are read from. Rejects with WeirError audit_unavailable when the store is away. */
export interface ProofReader {
  logId(): Promise<Uint8Array>;
  signingKeys(): Promise<SigningKeyFacts[]>;
  /** Newest first. @param beforeSize undefined: all */
  heads(limit: number, beforeSize: number | undefined): Promise<StoredHead[]>;
  /** The head of this size, or the newest. */
  head(size: number | undefined): Promise<StoredHead | undefined>;
  /** The root over full subtrees under the newest head. */
  subtreeRoots(subtrees: readonly Subtree[]): Promise<Uint8Array[]>;
  /** @returns the index of the record that tells most of a request */
  indexOfRequest(requestId: string): Promise<number | undefined>;
  /** How many leaves there are. */
  size(): Promise<number>;
  /** In log order, from `from` to before `to`, as many as fit in one answer. */
  leaves(from: number, to: number, payloads: boolean): Promise<LogLeaf[]>;
}

/** Reads what was paid for and stores what it costs by other prices. Rejects with WeirError audit_unavailable when the store is away. */
export interface RepricingStore {
  /** Sees the log as it is now. Nothing of a run that is not finished remains. */
  open(): Promise<RepricingRun>;
  /** Newest first. */
  list(limit: number): Promise<StoredRepricing[]>;
  /** Undefined: there is none. */
  find(id: string): Promise<Uint8Array | undefined>;
}

export interface StoredRepricing {
  readonly result: Uint8Array;
}

export interface RepricingRun extends AsyncDisposable {
  /** By index, after `after`; `last` is undefined where there is no more. Times are those of records. */
  calls(
    of: { readonly workspaceId: string; readonly fromMs: number; readonly toMs: number },
    after: number | undefined,
    limit: number,
  ): Promise<{ readonly calls: readonly RecordedCall[]; readonly last: number | undefined }>;
  add(
    id: string,
    entries: readonly { readonly index: number; readonly recordedNanos: bigint; readonly repricedNanos: bigint }[],
  ): Promise<void>;
  finish(of: FinishedRepricing): Promise<void>;
}

export interface FinishedRepricing {
  readonly id: string;
  readonly atMs: number;
  readonly version: string;
  readonly workspaceId: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly records: bigint;
  readonly recordedNanos: bigint;
  readonly repricedNanos: bigint;
  readonly unpriced: bigint;
  /** As the contract has them. */
  readonly sheet: Uint8Array;
  readonly result: Uint8Array;
}
