import type { Sha256 } from "./sha256.ts";

/** SHA-256(0x01 || left || right) (RFC 9162 §2.1.1). */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return sha256(bytes);
}

/** A growing tree as far as it matters for what comes: its size and the roots of its full subtrees, the largest first. */
export interface Frontier {
  readonly size: number;
  /** As many as `size` has one-bits. */
  readonly peaks: readonly Uint8Array[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, peaks: [] };

/** Told of each full subtree as its last leaf comes: node `index` of `level` covers the leaves index·2^level to (index+1)·2^level. */
export type OnNode = (level: number, index: number, hash: Uint8Array) => void;

/** A tree that leaves are appended to, one hash per level in memory: a log larger than memory can be streamed through it. */
export class GrowingTree {
  readonly #sha256: Sha256;
  readonly #onNode: OnNode | undefined;
  readonly #peaks: Uint8Array[];
  #size: number;

  constructor(sha256: Sha256, from: Frontier = EMPTY_FRONTIER, onNode?: OnNode) {
    this.#sha256 = sha256;
    this.#onNode = onNode;
    this.#size = from.size;
    this.#peaks = [...from.peaks];
  }

  get size(): number {
    return this.#size;
  }

  get frontier(): Frontier {
    return { size: this.#size, peaks: [...this.#peaks] };
  }

  append(leafHash: Uint8Array): void {
    let hash = leafHash;
    let index = this.#size;
    for (let level = 1; index % 2 === 1; level++) {
      index = (index - 1) / 2;
      hash = nodeHash(this.#sha256, this.#peaks.pop() ?? hash, hash);
      this.#onNode?.(level, index, hash);
    }
    this.#peaks.push(hash);
    this.#size++;
  }

  /** MTH of RFC 9162 §2.1.1. Of no leaves it is SHA-256 of no bytes, of one leaf its hash. */
  root(): Uint8Array {
    return joined(this.#sha256, this.#peaks) ?? this.#sha256(new Uint8Array(0));
  }
}

/** The root over neighbouring full subtrees, the largest first, as the right edge of a tree has them; undefined for none. */
export function joined(sha256: Sha256, peaks: readonly Uint8Array[]): Uint8Array | undefined {
  const smallest = peaks.at(-1);
  if (smallest === undefined) return undefined;
  return peaks.slice(0, -1).reduceRight((right, left) => nodeHash(sha256, left, right), smallest);
}

/** The root over leaf hashes, in log order; any iterable is taken once. */
export function rootOf(sha256: Sha256, leafHashes: Iterable<Uint8Array>): Uint8Array {
  const tree = new GrowingTree(sha256);
  for (const leaf of leafHashes) tree.append(leaf);
  return tree.root();
}
