/** What every part of the JetStream bus has to know, with nothing left open. */
export interface StreamSettings {
  readonly stream: string;
  readonly subject: string;
  /** Batches that a consumer has given up: "<subject>.dead.<consumer>". */
  readonly deadStream: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly replicas: number;
  readonly dedupeWindowMs: number;
  readonly publishTimeoutMs: number;
  readonly ackWaitMs: number;
}

/** Of a message, which has a batch's frames as its body. */
export const HEADER = { producer: "Weir-Producer", first: "Weir-First", last: "Weir-Last" } as const;
