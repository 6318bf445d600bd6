import type { NumberRange } from "@weir/proofs";

export interface LogEntry {
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly producer: string;
  readonly number: number;
  readonly intentNumber: number;
  readonly kind: number;
  readonly atMs: number;
  readonly header: Uint8Array;
  readonly payloadOmitted: boolean;
}

/** The payload of an entry, as its producer sealed it. */
export interface SealedPayload {
  readonly index: number;
  readonly requestId: string;
  readonly sealed: Uint8Array;
}

/** "", 0 and undefined: any. */
export interface LogFilter {
  readonly workspaceId: string;
  readonly keyId: string;
  readonly model: string;
  readonly outcome: number;
  readonly kind: number;
  readonly fromMs: number | undefined;
  /** Exclusive. */
  readonly toMs: number | undefined;
}

export interface Watermark {
  readonly producer: string;
  /** Every number from 1 to this one is accounted for. */
  readonly contiguous: number;
  /** It ended in order and nothing of it is missing. */
  readonly closed: boolean;
}

export interface Gap extends NumberRange {
  readonly producer: string;
}

export interface ModelTotal {
  readonly provider: string;
  readonly model: string;
  readonly requests: bigint;
  readonly failed: bigint;
  readonly inputTokens: bigint;
  readonly outputTokens: bigint;
  readonly costNanos: bigint;
}
