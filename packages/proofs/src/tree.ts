import type { Sha256 } from "./sha256.ts";

/** SHA-256(0x01 || left || right) (RFC 9162 §2.1.1). */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return sha256(bytes);
}

/**
 * MTH of RFC 9162 §2.1.1: the root over leaf hashes, in log order. The root of no leaves is SHA-256 of no bytes, of one leaf its hash.
 * Takes any iterable once and keeps only one hash per level, so a log larger than memory can be streamed through it.
 */
export function rootOf(sha256: Sha256, leafHashes: Iterable<Uint8Array>): Uint8Array {
  // Roots of full subtrees, largest first: as many as the count has one-bits.
  const peaks: Uint8Array[] = [];
  let count = 0;
  for (const leaf of leafHashes) {
    let hash = leaf;
    for (let rest = count; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hash = nodeHash(sha256, peaks.pop() ?? hash, hash);
    }
    peaks.push(hash);
    count++;
  }
  const smallest = peaks.pop();
  if (smallest === undefined) return sha256(new Uint8Array(0));
  return peaks.reduceRight((right, left) => nodeHash(sha256, left, right), smallest);
}
