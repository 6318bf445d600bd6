/** One request's hold on an Idempotency-Key. */
export interface IdempotencyClaim {
  readonly keyId: string;
  /** SHA-256. */
  readonly name: Uint8Array;
  /** Who runs it. */
  readonly requestId: string;
}

/** What became of a request of this name; `requestId` is that one's. */
export type Begun =
  | { readonly state: "begun"; readonly leaseMs: number }
  | { readonly state: "running"; readonly requestId: string; readonly retryAfterMs: number }
  /** Without an answer: it was too large to be kept. */
  | { readonly state: "answered"; readonly requestId: string; readonly answer: Uint8Array | undefined }
  /** It asked something else. */
  | { readonly state: "mismatch"; readonly requestId: string };
