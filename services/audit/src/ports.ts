import type { EpochMark, SignedHead, Subtree } from "@weir/proofs";
import type { ErasedSubject, ErasureRequest, JournaledErasure, LivingKeys, StoredErasure } from "./domain/erasure.ts";
import type { SigningKeyFacts } from "./domain/head.ts";
import type { LogLeaf } from "./domain/log-leaf.ts";
import type { Gap, LogEntry, LogFilter, ModelTotal, SealedPayload, Watermark } from "./domain/log-entry.ts";
import type { Cursor } from "./domain/page.ts";
import type { LogRecord } from "./domain/record.ts";
import type { RecordedCall } from "./domain/repricing.ts";
import type {
  HoldScope,
  LegalHold,
  RetentionPolicy,
  RetentionStep,
  RetentionSubject,
  RetentionTimes,
} from "./domain/retention.ts";

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

/**
 * The key pairs that producers seal payloads to; later ones have higher numbers. Their private halves MUST NOT be in the store that holds what they
 * open, and replicas MUST see the same ones. All throw WeirError internal where they can be neither read nor made.
 */
export interface TransportKeys {
  /** Made where there is none. */
  newest(): TransportKey;
  /** Those that are there, oldest first. */
  all(): TransportKey[];
  make(number: number): void;
  /** MUST NOT return before it cannot be read any more, after a crash either. */
  destroy(number: number): void;
}

export interface TransportKey {
  readonly number: number;
  /** The first 8 bytes of the SHA-256 of its public half. */
  readonly id: Uint8Array;
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** The secrets over subjects' keys; as for transport keys. */
export interface KeyGenerations {
  /** Made where there is none. */
  newest(): number;
  /** Ascending. */
  all(): number[];
  make(number: number): void;
  destroy(number: number): void;
  /** Whether it was made with the key that is configured now. */
  isPresent(number: number): boolean;
}

export interface PayloadOpener {
  /**
   * What payloads hold, by index.
   * @throws WeirError not_found where one is sealed to a key that is not here; internal for bytes that were changed; audit_unavailable
   */
  open(payloads: readonly SealedPayload[]): Promise<ReadonlyMap<number, Uint8Array | "erased">>;
}

/** Where erasures are kept beside the database: an older state of that, restored, must not undo them. */
export interface ErasureJournal {
  /** Survives a crash of the machine when it returns. */
  add(entry: JournaledErasure): void;
  /** Oldest first. @throws WeirError internal where it cannot be read */
  all(): JournaledErasure[];
}

/** Rejects with WeirError audit_unavailable when the store is away. */
export interface ErasureStore {
  /**
   * Destroys the subject's key, all in one transaction with its record.
   * @param beforeCommit told what is about to be done; where it throws, nothing is
   * @throws WeirError permission_denied under a legal hold
   */
  erase(asked: ErasureRequest, beforeCommit: (entry: JournaledErasure) => void): Promise<StoredErasure>;
  /** How many payloads of a subject can be opened now. */
  count(subject: ErasedSubject): Promise<number>;
  /** Does once more what the journal says was done. Has no effect on those that are there. @returns how many were not */
  replay(entries: readonly JournaledErasure[], nowMs: number): Promise<number>;
  /** Newest first. @param pending those only that are not complete */
  list(limit: number, pending: boolean): Promise<StoredErasure[]>;
  find(id: string): Promise<StoredErasure | undefined>;
  /** Indexes of records whose payloads it made unreadable, ascending, from `from` on. */
  leaves(of: StoredErasure, from: number, limit: number, atFirst: boolean): Promise<number[]>;
  /** What of the keys is there, and why. */
  keys(): Promise<LivingKeys>;
  /** Runs `work` alone among all replicas, waiting for its turn. */
  alone<T>(work: (session: KeySession) => Promise<T>): Promise<T>;
}

/** What the store knows of keys, brought in line with what files are there. */
export interface KeySession {
  /** Notes what is there, and what is not there any more. */
  reconcile(nowMs: number): Promise<void>;
  keys(): Promise<LivingKeys>;
  /** @returns false where it must be kept: somebody was told it just now, or is not done with it */
  retireTransportKey(number: number, nowMs: number): Promise<boolean>;
  /** Brings what is under other generations under this one. @returns how many it found, at most `limit` */
  rewrap(to: number, limit: number): Promise<number>;
  /** @returns false where something is under it */
  retireGeneration(number: number, nowMs: number): Promise<boolean>;
  abandon(producers: readonly string[]): Promise<void>;
  /** Nothing of an erased subject can arrive any more. */
  closeErasure(id: string, lastGeneration: number): Promise<void>;
  /** Appends the second record. */
  completeErasure(id: string, nowMs: number): Promise<void>;
  pending(): Promise<StoredErasure[]>;
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
  /** In log order, from `from` to before `to`, as many as fit in one answer. @param filter undefined: all */
  leaves(from: number, to: number, payloads: boolean, filter?: LogFilter): Promise<LogLeaf[]>;
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

/**
 * How long is kept what. The store checks by itself, with its own clock: nothing is removed that a policy or a hold keeps, whatever it is asked.
 * Rejects with WeirError audit_unavailable when the store is away.
 */
export interface RetentionStore {
  /** @param workspaceId "": the default */
  setPolicy(workspaceId: string, times: RetentionTimes | "inherit"): Promise<RetentionPolicy>;
  /** Of each workspace that has one the last, the default first. */
  policies(): Promise<RetentionPolicy[]>;
  /**
   * One bounded batch: removes what is due in a stretch of the log behind `after`, and records that, in one transaction.
   * @param workspaceId undefined: all
   * @param after undefined: from the beginning
   */
  retain(
    subject: RetentionSubject,
    workspaceId: string | undefined,
    after: number | undefined,
    dryRun: boolean,
  ): Promise<RetentionStep>;
}

/** What must not be removed. */
export interface HoldStore {
  place(id: string, scope: HoldScope, reason: string): Promise<LegalHold>;
  /** Has no effect on one that was released already. @throws WeirError not_found */
  release(id: string, reason: string): Promise<LegalHold>;
  /** Newest first. */
  list(released: boolean): Promise<LegalHold[]>;
  /**
   * Whether a hold covers any of this: then it must not be destroyed in another way, either. In SQL: `held`, under the sequencer's lock.
   * @param keyId undefined: of any key
   * @returns a hold's id
   */
  holding(workspaceId: string, keyId: string | undefined): Promise<string | undefined>;
}
