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
export {
  OWN_PRODUCER,
  type OwnRecord,
  RetentionRules,
  type RetentionSubject,
  SHORTENING_GRACE_MS,
} from "./retention.ts";
export { rangesOfRuns, runsOf, subtracted } from "./runs.ts";
export { HASH_BYTES, type Sha256 } from "./sha256.ts";
export { EMPTY_FRONTIER, type Frontier, GrowingTree, joined, nodeHash, type OnNode, rootOf } from "./tree.ts";
export { batchBytes, type BatchSignature, type SignatureProblem, type VerifySignature } from "./signatures.ts";
export { type EndorsedKey, type ExportedLeaf, type Findings, LogVerifier, type Problem } from "./verifier.ts";
