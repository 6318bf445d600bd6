import type { audit } from "@weir/contracts";
import { leafHash, LogVerifier, parseHead, verifyInclusion } from "@weir/proofs";
import { leafRecord, sha256, verifySignature } from "./verify-export.ts";

/**
 * Checks that a record is in the log that a believed tree head was signed for.
 * @throws Error with what does not hold
 */
export function checkInclusion(
  { leaf, head, path }: audit.ProveInclusionResponse,
  { keys }: audit.ListSigningKeysResponse,
  trusted: readonly Uint8Array[],
): { readonly leaf: audit.LogLeaf; readonly size: number } {
  if (leaf === undefined || head === undefined) throw new Error("the proof has no record or no tree head");
  const { problems } = new LogVerifier(sha256, verifySignature, trusted, keys, [head]).finish();
  const bad = problems.find(({ kind }) => kind === "bad-head");
  if (bad?.kind === "bad-head") throw new Error(`its tree head is not believed: ${bad.why}`);
  const parsed = parseHead(head.head);
  const claim = {
    // Of a record that retention removed the hash is all there is: that it stands in the log is shown all the same.
    leafHash: leaf.headerRemoved ? leaf.leafHash : leafHash(sha256, leafRecord(leaf)),
    index: Number(leaf.index),
    size: parsed?.size ?? 0,
    path,
    root: parsed?.root ?? new Uint8Array(0),
  };
  if (!verifyInclusion(sha256, claim))
    throw new Error("the record is not in the log that this tree head was signed for");
  return { leaf, size: claim.size };
}
