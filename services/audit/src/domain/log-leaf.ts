import type { LeafRecord } from "@weir/proofs";

/** A leaf with what it commits to, as it is stored, and the columns beside it. */
export interface LogLeaf extends Omit<LeafRecord, "payloadDigest"> {
  readonly index: number;
  readonly storedHash: Uint8Array;
  /** SHA-256 of the sealed payload; empty: there was none. */
  readonly payloadDigest: Uint8Array;
  readonly columns: LeafColumns;
  /** Empty where it was not asked for, or is not kept any more. */
  readonly sealedPayload: Uint8Array;
  /** Retention took the header, and with it digest, columns and payload: they are empty. */
  readonly headerRemoved: boolean;
  /** There was a payload, and it is not there any more. */
  readonly payloadRemoved: boolean;
}

export interface LeafColumns {
  readonly atMs: number;
  readonly requestId: string;
  readonly workspaceId: string;
  readonly keyId: string;
  readonly model: string;
  readonly provider: string;
  readonly outcome: number;
  readonly status: bigint;
  readonly inputTokens: bigint;
  readonly outputTokens: bigint;
  readonly costNanos: bigint;
}
