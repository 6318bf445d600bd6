import { canonicalHead, type EpochMark, FIRST_PREVIOUS, parseHead, type Sha256 } from "@weir/proofs";

/** What is read of the log for its next head. */
export interface HeadFacts {
  readonly logId: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  /** Of epochs that have leaves behind the last head. */
  readonly epochs: readonly EpochMark[];
}

/** @param last the canonical bytes of the head before it; undefined: it is the first */
export function nextHead(sha256: Sha256, facts: HeadFacts, last: Uint8Array | undefined, nowMs: number): Uint8Array {
  const before = last === undefined ? undefined : parseHead(last);
  if (last !== undefined && before === undefined) throw new Error("the last tree head is none");
  const previous = last === undefined ? FIRST_PREVIOUS : sha256(last);
  const epochs = facts.epochs.toSorted((a, b) => (a.producer < b.producer ? -1 : 1));
  // A clock that was set back must not make heads look out of order.
  return canonicalHead({ ...facts, epochs, previous, atMs: Math.max(nowMs, before?.atMs ?? 0) });
}

export interface SigningKeyFacts {
  readonly id: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Empty: it has none. */
  readonly endorsement: Uint8Array;
  readonly createdAtMs: number;
}
