/**
 * Checks a whole log against its signed heads and trusts nothing else: not the database, not the service, not the order of the export.
 * Its memory does not grow with the log.
 */
import { Accounts, type Predecessor } from "./accounts.ts";
import { endorsementBytes, parseHead, type SignedHead, signingKeyId, type TreeHead } from "./head.ts";
import { sameBytes } from "./proof.ts";
import { leafHash, type LeafRecord } from "./record.ts";
import type { Sha256 } from "./sha256.ts";
import { GrowingTree } from "./tree.ts";

/** Ed25519 (RFC 8032) as the platform has it; `publicKey` raw, 32 bytes. MUST NOT throw for bytes that are no key or signature. */
export type VerifySignature = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

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
}

export type Problem =
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

/** More tell nothing more; what counts is that there are any. */
const MOST_PROBLEMS = 1_000;

export class LogVerifier {
  readonly #sha256: Sha256;
  readonly #tree: GrowingTree;
  readonly #accounts = new Accounts();
  readonly #problems: Problem[] = [];
  /** Those whose signature holds, by size. */
  readonly #heads: TreeHead[];
  #nextHead = 0;
  #expected = 0;
  /** The size of the last head whose root was right. */
  #provenTo = 0;

  /**
   * @param trustedKeys the one thing the auditor brings: public keys, raw; one is enough unless a key was lost
   * @param keys their successors in order, each endorsed by one that is believed by then
   */
  constructor(
    sha256: Sha256,
    verify: VerifySignature,
    trustedKeys: readonly Uint8Array[],
    keys: readonly EndorsedKey[],
    heads: readonly SignedHead[],
  ) {
    this.#sha256 = sha256;
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
    let hash: Uint8Array;
    try {
      hash = leafHash(this.#sha256, leaf);
    } catch (error) {
      this.unreadable(leaf.index, error instanceof Error ? error.message : String(error));
      return;
    }
    if (!sameBytes(hash, leaf.storedHash)) {
      this.#report({ kind: "changed-leaf", index: leaf.index, producer: leaf.producer, number: leaf.number });
    }
    this.#tree.append(hash);
    this.#accounts.add(leaf, leaf.closes, leaf.predecessor);
  }

  /** Something in the export that is no leaf. */
  unreadable(index: number, why: string): void {
    this.#report({ kind: "unreadable-leaf", index, why });
  }

  /** Whatever is wrong; nothing if all leaves under the largest head are as they were when it was signed, and no record is missing. */
  finish(): { readonly problems: readonly Problem[]; readonly leaves: number; readonly provenTo: number } {
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
    return { problems: this.#problems, leaves, provenTo: this.#provenTo };
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
