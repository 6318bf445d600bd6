export { canonicalRecord, leafHash, type LeafRecord } from "./record.ts";
export { HASH_BYTES, type Sha256 } from "./sha256.ts";
export { nodeHash, rootOf } from "./tree.ts";
