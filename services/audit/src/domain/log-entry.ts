import type { NumberRange } from "@weir/proofs";
import type { Custody } from "./custody.ts";

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
  /** Undefined: it is opened by the transport key that it is sealed to. */
  readonly custody: Custody | undefined;
}

/** "", 0 and undefined: any. */
export interface LogFilter {
  readonly workspaceId: string;
  readonly keyId: string;
  readonly model: string;
  readonly provider: string;
  /** Of the end user, as headers have it; empty: any. */
  readonly endUserHmac: Uint8Array;
  /** What the subject of a kept payload may be called by; undefined: any, or none. */
  readonly subject: readonly Uint8Array[] | undefined;
  readonly outcome: number;
  readonly kind: number;
  readonly status: number;
  readonly fromMs: number | undefined;
  /** Exclusive. */
  readonly toMs: number | undefined;
  readonly minCostNanos: bigint;
  /** 0: no bound. */
  readonly maxCostNanos: bigint;
}

export const NO_FILTER: LogFilter = {
  workspaceId: "",
  keyId: "",
  model: "",
  provider: "",
  endUserHmac: new Uint8Array(0),
  subject: undefined,
  outcome: 0,
  kind: 0,
  status: 0,
  fromMs: undefined,
  toMs: undefined,
  minCostNanos: 0n,
  maxCostNanos: 0n,
};

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
