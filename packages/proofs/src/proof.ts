import type { Sha256 } from "./sha256.ts";
import { nodeHash } from "./tree.ts";

/** Neighbouring leaves, from `from` to before `to`: one node of a proof stands for them. */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

/** A full subtree: node `index` of `level`, over the leaves index·2^level to (index+1)·2^level. */
export interface Subtree {
  readonly level: number;
  readonly index: number;
}

/**
 * PATH(m, D[n]) of RFC 9162 §2.1.3.1: what an inclusion proof's nodes stand for, from the leaf up.
 * @throws RangeError where there is no such leaf
 */
export function inclusionPath(index: number, size: number): LeafRange[] {
  if (!isSize(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new RangeError(`a tree of ${size} leaves has no leaf ${index}`);
  }
  const path: LeafRange[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      path.push({ from: middle, to });
      to = middle;
    } else {
      path.push({ from, to: middle });
      from = middle;
    }
  }
  return path.reverse();
}

/**
 * PROOF(m, D[n]) of RFC 9162 §2.1.4.1: what a consistency proof's nodes stand for. Empty where nothing needs proving: from an empty tree, or
 * to the same size.
 * @throws RangeError unless 0 <= first <= second
 */
export function consistencyPath(first: number, second: number): LeafRange[] {
  if (!isSize(first) || !isSize(second) || first > second) {
    throw new RangeError(`a tree of ${second} leaves was never one of ${first}`);
  }
  if (first === 0 || first === second) return [];
  const path: LeafRange[] = [];
  let [from, to] = [0, second];
  // Down to the subtree that ends where the first tree did.
  while (to !== first) {
    const middle = from + splitOf(to - from);
    if (first <= middle) {
      path.push({ from: middle, to });
      to = middle;
    } else {
      path.push({ from, to: middle });
      from = middle;
    }
  }
  // The first tree itself need not be told to who knows its root.
  if (from > 0) path.push({ from, to });
  return path.reverse();
}

/** The full subtrees that cover a range of a proof, the largest first: their roots, joined, are the range's. */
export function subtreesOf({ from, to }: LeafRange): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = from; at < to; ) {
    let level = 0;
    while (at % 2 ** (level + 1) === 0 && at + 2 ** (level + 1) <= to) level++;
    subtrees.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

/** Whether a leaf is at `index` in the tree of `size` leaves that has this root (RFC 9162 §2.1.3.2). */
export function verifyInclusion(
  sha256: Sha256,
  claim: {
    readonly leafHash: Uint8Array;
    readonly index: number;
    readonly size: number;
    readonly path: readonly Uint8Array[];
    readonly root: Uint8Array;
  },
): boolean {
  const { index, size } = claim;
  if (!isSize(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let [node, last] = [index, size - 1];
  let hash = claim.leafHash;
  for (const other of claim.path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sha256, other, hash);
      while (node % 2 === 0 && node > 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      hash = nodeHash(sha256, hash, other);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && sameBytes(hash, claim.root);
}

/** Whether the second tree begins with all of the first (RFC 9162 §2.1.4.2). */
export function verifyConsistency(
  sha256: Sha256,
  claim: {
    readonly first: number;
    readonly second: number;
    readonly firstRoot: Uint8Array;
    readonly secondRoot: Uint8Array;
    readonly path: readonly Uint8Array[];
  },
): boolean {
  const { first, second, firstRoot, secondRoot } = claim;
  if (!isSize(first) || !isSize(second) || first > second) return false;
  if (first === second) return claim.path.length === 0 && sameBytes(firstRoot, secondRoot);
  // Of an empty tree there is only one, and every tree begins with it.
  if (first === 0) return claim.path.length === 0 && sameBytes(firstRoot, sha256(new Uint8Array(0)));
  const path = isPowerOfTwo(first) ? [firstRoot, ...claim.path] : claim.path;
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [node, last] = [first - 1, second - 1];
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  let [before, after] = [start, start];
  for (const other of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      before = nodeHash(sha256, other, before);
      after = nodeHash(sha256, other, after);
      while (node % 2 === 0 && node > 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      after = nodeHash(sha256, after, other);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && sameBytes(before, firstRoot) && sameBytes(after, secondRoot);
}

/** The largest power of two below `count`, which is at least 2. */
function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0;

function isPowerOfTwo(size: number): boolean {
  let power = 1;
  while (power < size) power *= 2;
  return power === size;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
