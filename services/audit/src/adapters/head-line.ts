import { parseHead } from "@weir/proofs";
import type { SigningKeyFacts } from "../domain/head.ts";
import type { StoredHead } from "../ports.ts";

/** A head as second places and auditors get it: one line of JSON, bytes in base64. With the keys, it needs nothing but the first to be checked. */
export function headLine(head: StoredHead, keys: readonly SigningKeyFacts[]): string {
  const parsed = parseHead(head.head);
  return JSON.stringify({
    weir_tree_head: 1,
    size: head.size,
    root: text(parsed?.root ?? new Uint8Array(0)),
    at: new Date(parsed?.atMs ?? 0).toISOString(),
    head: text(head.head),
    key_id: text(head.keyId),
    signature: text(head.signature),
    keys: keys.map((key) => ({ public_key: text(key.publicKey), endorsement: text(key.endorsement) })),
  });
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
