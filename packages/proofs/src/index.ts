export { Accounts, type MissingNumbers, type Predecessor } from "./accounts.ts";
export { searchable, uuidOrNone } from "./columns.ts";
export {
  canonicalHead,
  endorsementBytes,
  type EpochMark,
  FIRST_PREVIOUS,
  LOG_ID_BYTES,
  parseHead,
  type SignedHead,
  signingKeyId,
  type TreeHead,
} from "./head.ts";
export { merged, type NumberRange, ownNumbers, standsFor, unreadNumber } from "./numbers.ts";
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
export { canonicalRecord, leafHash, type LeafRecord } from "./record.ts";
export { HASH_BYTES, type Sha256 } from "./sha256.ts";
export { EMPTY_FRONTIER, type Frontier, GrowingTree, joined, nodeHash, type OnNode, rootOf } from "./tree.ts";
export { type EndorsedKey, type ExportedLeaf, LogVerifier, type Problem, type VerifySignature } from "./verifier.ts";
