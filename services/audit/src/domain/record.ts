import type { Custody } from "./custody.ts";

/** RecordKind of weir.audit.v1; a test keeps the two equal. */
export const KIND = {
  epochOpen: 1,
  intent: 2,
  outcome: 3,
  refusal: 4,
  mark: 5,
  epochClose: 6,
  quarantined: 7,
  erasure: 8,
  retention: 10,
  retentionPolicy: 11,
  legalHold: 12,
  legalHoldRelease: 13,
  signature: 14,
} as const;

/** OutcomeKind of weir.audit.v1, as far as decisions need it. */
export const OUTCOME = { succeeded: 1, failed: 2, cancelled: 3, unknown: 4 } as const;

/** One record on its way into the log. */
export interface LogRecord {
  readonly producer: string;
  /** Its number in the producer's epoch. Negative for bytes that could not be read: see unreadNumber. */
  readonly number: number;
  readonly kind: number;
  /** The dead epoch whose intent it answers; "": its own, or none. */
  readonly intentProducer: string;
  /** The intent it answers; 0: none. Of bytes that could not be read: the last number they stand for. */
  readonly intentNumber: number;
  /** As the producer wrote it; the bytes themselves where they could not be read. */
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  /** There was a payload and the producer had no room for it. */
  readonly payloadOmitted: boolean;
  /** What its header says, to be searched. */
  readonly attributes: Attributes;
  /** What an epoch-open says of the epoch before it. */
  readonly predecessor: { readonly producer: string; readonly lastNumber: number } | undefined;
  /** Of a mark: payloads of later records are sealed to this transport key, or to later ones. */
  readonly transportKey?: number;
  /** What opens its payload. Undefined: the transport key that it is sealed to, or nothing. */
  readonly custody?: Custody;
}

export interface Attributes {
  readonly atMs: number;
  /** "": none. */
  readonly requestId: string;
  readonly workspaceId: string;
  readonly keyId: string;
  readonly model: string;
  readonly provider: string;
  /** OutcomeKind; 0: no outcome. */
  readonly outcome: number;
  readonly status: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costNanos: bigint;
}

export const NO_ATTRIBUTES: Attributes = {
  atMs: 0,
  requestId: "",
  workspaceId: "",
  keyId: "",
  model: "",
  provider: "",
  outcome: 0,
  status: 0,
  inputTokens: 0,
  outputTokens: 0,
  costNanos: 0n,
};

/** The record kept as bytes nobody can read: its place in the log and what it answers stay, what its header claims does not. */
export const quarantined = (record: LogRecord, nowMs: number): LogRecord => ({
  ...record,
  kind: KIND.quarantined,
  attributes: { ...NO_ATTRIBUTES, atMs: nowMs },
  predecessor: undefined,
});
