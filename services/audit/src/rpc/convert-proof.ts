import { create } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { parseHead } from "@weir/proofs";
import type { SigningKeyFacts } from "../domain/head.ts";
import type { LogLeaf } from "../domain/log-leaf.ts";
import type { StoredHead } from "../ports.ts";

export function headToWire({ size, head, keyId, signature }: StoredHead): audit.SignedTreeHead {
  const parsed = parseHead(head);
  return create(audit.SignedTreeHeadSchema, {
    head,
    keyId,
    signature,
    size: BigInt(size),
    root: parsed?.root ?? NOTHING,
    atMs: BigInt(parsed?.atMs ?? 0),
  });
}

const NOTHING = new Uint8Array(0);

export const keyToWire = ({ id, publicKey, endorsement, createdAtMs }: SigningKeyFacts): audit.SigningKey =>
  create(audit.SigningKeySchema, { id, publicKey, endorsement, createdAtMs: BigInt(createdAtMs) });

export function leafToWire(leaf: LogLeaf): audit.LogLeaf {
  const { index, storedHash, number, intentNumber, columns, ...rest } = leaf;
  return create(audit.LogLeafSchema, {
    ...rest,
    index: BigInt(index),
    leafHash: storedHash,
    number: BigInt(number),
    intentNumber: BigInt(intentNumber),
    columns: { ...columns, atMs: BigInt(columns.atMs) },
  });
}
