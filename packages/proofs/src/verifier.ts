/**
 * Checks a whole log against its signed heads and trusts nothing else: not the database, not the service, not the order of the export.
 * Its memory does not grow with the log.
 */
import { Accounts, type Predecessor } from "./accounts.ts";
import { endorsementBytes, parseHead, type SignedHead, signingKeyId, type TreeHead } from "./head.ts";
import { sameBytes } from "./proof.ts";
import { leafHash, type LeafRecord } from "./record.ts";
import type { Sha256 } from "./sha256.ts";
import type { NumberRange } from "./numbers.ts";
import { Ranges } from "./ranges.ts";
import {
  OWN_PRODUCER,
  type OwnRecord,
  type RemovalRecord,
  RetentionRules,
  type RetentionSubject,
} from "./retention.ts";
import { subtracted } from "./runs.ts";
import { type BatchSignature, ProducerSignatures, type SignatureProblem, type VerifySignature } from "./signatures.ts";
import { GrowingTree } from "./tree.ts";

/** A key that another one made its successor. */
export interface EndorsedKey {
  readonly publicKey: Uint8Array;
  /** By the key before it, over endorsementBytes. */
  readonly endorsement: Uint8Array;
}

/** A leaf as an export has it. */
export interface ExportedLeaf extends LeafRecord {
  /** Its place in the log, from 0. */
  readonly index: number;
  /** The leaf hash that the log has stored for it. */
  readonly storedHash: Uint8Array;
  /** Whether it ends its epoch. */
  readonly closes: boolean;
  readonly predecessor: Predecessor | undefined;
  /** What is not there any more; with the record, its header is not. */
  readonly removed?: "record" | "payload" | undefined;
  /** Of a record that the log wrote of itself. */
  readonly own?: OwnRecord | undefined;
  /** Of an epoch-open: what signs the epoch's records; empty: nothing. */
  readonly publicKey?: Uint8Array | undefined;
  readonly signature?: BatchSignature | undefined;
}

export type Problem =
  | SignatureProblem
  /** Gone, and no record of the log says that retention removed them. */
  | {
      readonly kind: "undeclared-removal";
      readonly subject: RetentionSubject;
      readonly first: number;
      readonly last: number;
    }
  /** A record of the log says that they were removed, and they are there. */
  | { readonly kind: "not-removed"; readonly first: number; readonly last: number }
  /** A removal that the log's own policies and holds, or the time of its heads, did not allow. */
  | { readonly kind: "unlawful-removal"; readonly index: number; readonly why: string }
  | { readonly kind: "bad-head"; readonly head: number; readonly why: string }
  | { readonly kind: "missing-leaf"; readonly first: number; readonly last: number }
  | { readonly kind: "misplaced-leaf"; readonly index: number; readonly expected: number }
  /** The log itself has another hash for it. */
  | { readonly kind: "changed-leaf"; readonly index: number; readonly producer: string; readonly number: number }
  | { readonly kind: "unreadable-leaf"; readonly index: number; readonly why: string }
  /** Somewhere in these leaves something was changed, put in, taken out or moved. */
  | { readonly kind: "wrong-root"; readonly first: number; readonly last: number; readonly size: number }
  /** A record that its producer numbered and no leaf accounts for. */
  | { readonly kind: "missing-record"; readonly producer: string; readonly first: number; readonly last: number }
  | {
      readonly kind: "broken-promise";
      readonly producer: string;
      readonly promised: number;
      readonly found: number;
      readonly size: number;
    };

/** The clocks of heads and of the database are two. */
const CLOCKS_APART_MS = 300_000;

/** More tell nothing more; what counts is that there are any. */
const MOST_PROBLEMS = 1_000;

export interface Findings {
  readonly problems: readonly Problem[];
  readonly leaves: number;
  /** So many leaves are as they were when a head was signed. */
  readonly provenTo: number;
  /** What is not there any more, and the indexes of the records that say so. */
  readonly removed: { readonly records: number; readonly payloads: number; readonly by: readonly number[] };
  readonly producers: {
    /** The key of each line of epochs. */
    readonly lines: ReadonlyMap<string, Uint8Array>;
    /** Epochs that sign nothing. */
    readonly unsigned: readonly string[];
  };
}

export class LogVerifier {
  readonly #sha256: Sha256;
  readonly #tree: GrowingTree;
  readonly #accounts = new Accounts();
  readonly #problems: Problem[] = [];
  /** Those whose signature holds, by size. */
  readonly #heads: TreeHead[];
  readonly #rules = new RetentionRules();
  readonly #gone = { records: new Ranges(), payloads: new Ranges() };
  readonly #declared = { records: new Ranges(), payloads: new Ranges() };
  readonly #removedBy: number[] = [];
  readonly #signatures: ProducerSignatures;
  #nextHead = 0;
  #expected = 0;
  /** The size of the last head whose root was right. */
  #provenTo = 0;

  /**
   * @param trustedKeys the one thing the auditor brings: public keys, raw; one is enough unless a key was lost
   * @param keys their successors in order, each endorsed by one that is believed by then
   * @param producerKeys see ProducerSignatures
   */
  constructor(
    sha256: Sha256,
    verify: VerifySignature,
    trustedKeys: readonly Uint8Array[],
    keys: readonly EndorsedKey[],
    heads: readonly SignedHead[],
    producerKeys: readonly Uint8Array[] = [],
  ) {
    this.#sha256 = sha256;
    this.#signatures = new ProducerSignatures(verify, producerKeys, (problem) => this.#report(problem));
    this.#tree = new GrowingTree(sha256);
    const believed: TreeHead[] = [];
    for (const [place, signed] of heads.entries()) {
      const head = parseHead(signed.head);
      const why = head === undefined ? "it is no tree head" : distrust(head, signed);
      if (why !== undefined) this.#report({ kind: "bad-head", head: place, why });
      else believed.push(head as TreeHead);
    }
    this.#heads = believed.sort((a, b) => a.size - b.size || a.atMs - b.atMs);

    function distrust(head: TreeHead, signed: SignedHead): string | undefined {
      const key = believedKeys(head.logId).find((one) => sameBytes(signingKeyId(sha256, one), signed.keyId));
      if (key === undefined) return "its key is neither a trusted one nor a successor of one";
      if (!verify(key, signed.head, signed.signature)) return "its signature is not valid";
      const first = believed[0];
      return first === undefined || sameBytes(first.logId, head.logId) ? undefined : "it is of another log";
    }

    function believedKeys(logId: Uint8Array): readonly Uint8Array[] {
      const known = [...trustedKeys];
      for (const { publicKey, endorsement } of keys) {
        const message = endorsementBytes(logId, publicKey);
        if (known.some((key) => verify(key, message, endorsement))) known.push(publicKey);
      }
      return known;
    }
  }

  /** The next leaf of the export. */
  take(leaf: ExportedLeaf): void {
    this.#checkHeads();
    if (leaf.index > this.#expected) {
      this.#report({ kind: "missing-leaf", first: this.#expected, last: leaf.index - 1 });
    } else if (leaf.index < this.#expected) {
      this.#report({ kind: "misplaced-leaf", index: leaf.index, expected: this.#expected });
    }
    this.#expected = Math.max(this.#expected, leaf.index) + 1;
    const hash = leaf.removed === "record" ? leaf.storedHash : this.#hashOf(leaf);
    if (hash === undefined) return;
    if (leaf.removed === "record") this.#gone.records.add(leaf.index);
    if (leaf.removed === "payload") this.#gone.payloads.add(leaf.index);
    this.#tree.append(hash);
    this.#accounts.add(leaf, leaf.closes, leaf.predecessor);
    const { index, producer } = leaf;
    if (leaf.own !== undefined && producer === OWN_PRODUCER) this.#takeOwn(index, leaf.own);
    if (leaf.publicKey !== undefined) this.#signatures.open(index, producer, leaf.publicKey);
    this.#signatures.leaf({ index, producer, number: leaf.number, kind: leaf.kind, hash });
    if (leaf.signature !== undefined) this.#signatures.signature(index, producer, leaf.signature);
  }

  #hashOf(leaf: ExportedLeaf): Uint8Array | undefined {
    try {
      const hash = leafHash(this.#sha256, leaf);
      if (!sameBytes(hash, leaf.storedHash)) {
        this.#report({ kind: "changed-leaf", index: leaf.index, producer: leaf.producer, number: leaf.number });
      }
      return hash;
    } catch (error) {
      this.unreadable(leaf.index, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #takeOwn(index: number, own: OwnRecord): void {
    const unlawful = (why: string): void => this.#report({ kind: "unlawful-removal", index, why });
    if (own.kind === "policy" && this.#notBefore(index) > own.atMs + CLOCKS_APART_MS) {
      return unlawful("the policy says that it is older than the tree head before it");
    }
    if (own.kind === "removal") this.#takeRemoval(own, unlawful);
    if (own.kind === "removal") this.#removedBy.push(index);
    this.#rules.take(own);
  }

  #takeRemoval(removal: RemovalRecord, unlawful: (why: string) => void): void {
    const { ranges, why } = this.#rules.check(removal);
    if (why !== undefined) unlawful(why);
    for (const { first, last } of ranges) this.#declared[removal.subject].add(first, last);
    const last = ranges.at(-1)?.last;
    // Policies go by the database's clock; heads, which nobody who owns the database can sign, tell when a leaf was not there yet.
    if (last !== undefined && this.#notBefore(last) > removal.beforeMs + CLOCKS_APART_MS) {
      unlawful(`leaf ${last} was younger than it says: the tree head before that leaf is`);
    }
  }

  /** No head had the leaf at this time. */
  #notBefore(index: number): number {
    return this.#heads.findLast((head) => head.size <= index)?.atMs ?? 0;
  }

  #checkRemovals(): void {
    const declared = this.#declared.records.sorted();
    const gone = this.#gone.records.sorted();
    const report = (subject: RetentionSubject, ranges: readonly NumberRange[]): void => {
      for (const range of ranges) this.#report({ kind: "undeclared-removal", subject, ...range });
    };
    report("records", subtracted(gone, declared));
    report("payloads", subtracted(this.#gone.payloads.sorted(), this.#declared.payloads.sorted()));
    for (const range of subtracted(declared, gone)) this.#report({ kind: "not-removed", ...range });
  }

  /** Something in the export that is no leaf. */
  unreadable(index: number, why: string): void {
    this.#report({ kind: "unreadable-leaf", index, why });
  }

  /** Whatever is wrong; nothing if all leaves under the largest head are as they were when it was signed, and no record is missing. */
  finish(): Findings {
    this.#checkHeads();
    const leaves = this.#tree.size;
    const largest = this.#heads.at(-1);
    if (largest !== undefined && largest.size > leaves) {
      if (largest.size > this.#expected) {
        this.#report({ kind: "missing-leaf", first: this.#expected, last: largest.size - 1 });
      }
      for (const head of this.#heads.slice(this.#nextHead)) this.#checkPromises(head);
    }
    for (const missing of this.#accounts.missing()) this.#report({ kind: "missing-record", ...missing });
    this.#checkRemovals();
    const producers = this.#signatures.finish();
    const { records, payloads } = this.#gone;
    const removed = { records: records.count, payloads: payloads.count, by: this.#removedBy };
    return { problems: this.#problems, leaves, provenTo: this.#provenTo, removed, producers };
  }

  #checkHeads(): void {
    const { size } = this.#tree;
    for (; this.#heads[this.#nextHead]?.size === size; this.#nextHead++) {
      const head = this.#heads[this.#nextHead] as TreeHead;
      if (sameBytes(this.#tree.root(), head.root)) this.#provenTo = size;
      else this.#report({ kind: "wrong-root", first: this.#provenTo, last: size - 1, size });
      this.#checkPromises(head);
    }
  }

  #checkPromises({ epochs, size }: TreeHead): void {
    for (const { producer, contiguous } of epochs) {
      const found = this.#accounts.contiguous(producer);
      if (found < contiguous) this.#report({ kind: "broken-promise", producer, promised: contiguous, found, size });
    }
  }

  #report(problem: Problem): void {
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push(problem);
  }
}
