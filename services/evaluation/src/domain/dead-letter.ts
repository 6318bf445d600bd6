/** Records that could not be worked with, without payloads, as the store of dead letters keeps them. */
export interface DeadLetter {
  readonly id: string;
  readonly consumer: string;
  readonly producer: string;
  /** The lowest and the highest number of them; 0: not known. */
  readonly first: number;
  readonly last: number;
  readonly data: Uint8Array;
  /** In words that quote nothing of them. */
  readonly reason: string;
  readonly atMs: number;
}

/** A record in a letter, as far as it can be read. */
export interface DeadRecord {
  readonly kind: string;
  readonly number: number;
  /** "": it says none. */
  readonly requestId: string;
  readonly workspaceId: string;
  /** SHA-256 of its bytes. */
  readonly digest: Uint8Array;
}
