import { fromJson, fromBinary, type JsonValue } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { sameBytes } from "@weir/proofs";
import { checkInclusion } from "./inclusion.ts";
import { sha256 } from "./verify-export.ts";

export const ERASURE_PROOF_START = '{"weir_erasure_proof":1,';

/**
 * Checks offline that the log has the erasure's records, that they say what the file says, and that records which lost their text are in the log.
 * @param text of a file that `audit erasure-proof` wrote
 * @returns what was shown, for people
 * @throws Error for what does not hold
 */
export function verifyErasureProof(text: string, trusted: readonly Uint8Array[]): string[] {
  const file = JSON.parse(text) as Record<"erasure" | "keys" | "records" | "indexes" | "leaves", JsonValue>;
  const keys = fromJson(audit.ListSigningKeysResponseSchema, file.keys);
  const proofsIn = (value: JsonValue): audit.ProveInclusionResponse[] =>
    Array.isArray(value) ? value.map((one) => fromJson(audit.ProveInclusionResponseSchema, one)) : [];
  const records = proofsIn(file.records).map((proof) => {
    const { leaf } = checkInclusion(proof, keys, trusted);
    if (leaf.kind !== audit.RecordKind.ERASURE) throw new Error(`record ${leaf.index} is no erasure`);
    return { index: leaf.index, record: fromBinary(audit.ErasureSchema, leaf.header) };
  });
  const [first] = records;
  const last = records.at(-1);
  if (first === undefined || last === undefined) throw new Error("the proof has no record of an erasure");
  if (records.some(({ record }) => record.erasureId !== first.record.erasureId))
    throw new Error("its records are of several erasures");
  if (first.record.stage !== audit.ErasureStage.KEY_DESTROYED) throw new Error("its first record is not the first one");
  const complete = last.record.stage === audit.ErasureStage.COMPLETE;
  if (records.length > 1 && !complete) throw new Error("its last record does not say that it is complete");

  const indexes = Array.isArray(file.indexes) ? file.indexes.map(indexIn) : [];
  const bytes = Buffer.alloc(indexes.length * 8);
  for (const [place, index] of indexes.entries()) bytes.writeBigUInt64BE(index, place * 8);
  const { record } = last;
  if (BigInt(indexes.length) !== record.payloads || !sameBytes(sha256(bytes), record.leavesDigest))
    throw new Error("the records that it lists are not those that the log says lost their text");
  const erased = new Set(indexes);
  const leaves = proofsIn(file.leaves).map((proof) => checkInclusion(proof, keys, trusted).leaf);
  for (const { index, payloadDigest, headerRemoved } of leaves) {
    if (!erased.has(index)) throw new Error(`record ${index} is not of this erasure`);
    // Retention may have taken the record itself since.
    if (payloadDigest.length === 0 && !headerRemoved) throw new Error(`record ${index} never had a text`);
  }
  return [
    `erasure ${record.erasureId}: record ${first.index}${complete ? `, complete with record ${last.index}` : "; it is not complete yet"}`,
    `${indexes.length} records lost their text; ${leaves.length} of them were looked at, and are in the log as they were`,
    ...(complete
      ? [
          `destroyed: the subject's key, transport keys to ${record.lastTransportKey}, key generations to ${record.lastKeyGeneration}`,
        ]
      : ["destroyed: the subject's key"]),
  ];
}

function indexIn(value: JsonValue): bigint {
  if (typeof value !== "string" || !/^\d{1,18}$/.test(value)) throw new Error("the proof lists what is no record");
  return BigInt(value);
}
