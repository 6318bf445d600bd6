export { canonicalRecord, leafHash, type LeafRecord } from "./record.ts";
export {
  consistencyPath,
  inclusionPath,
  type LeafRange,
  sameBytes,
  type Subtree,
  subtreesOf,
  verifyConsistency,
  verifyInclusion,
} from "./proof.ts";
export { HASH_BYTES, type Sha256 } from "./sha256.ts";
export { EMPTY_FRONTIER, type Frontier, GrowingTree, joined, nodeHash, type OnNode, rootOf } from "./tree.ts";
