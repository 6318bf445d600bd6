import type { Gap, LogEntry, LogFilter, ModelTotal, SealedPayload, Watermark } from "./domain/log-entry.ts";
import type { Cursor } from "./domain/page.ts";
import type { LogRecord } from "./domain/record.ts";

/**
 * Writes to the log. MUST store all records or none, MUST pass over those that are there already (by producer and number), and MUST NOT
 * resolve before they would survive a crash of the store. Rejects with WeirError audit_unavailable when the store is away (it may have
 * stored them all the same), and with any other error when it refuses these records.
 */
export interface LogWriter {
  /** Resolves with how many were new. */
  append(records: readonly LogRecord[]): Promise<number>;
}

/** Reads from the log. Rejects with WeirError audit_unavailable when the store is away. */
export interface LogReader {
  /** All of a request, oldest first. */
  ofRequest(requestId: string): Promise<LogEntry[]>;
  /** Of those, what is sealed. */
  payloadsOfRequest(requestId: string): Promise<SealedPayload[]>;
  /** At most `limit`, newest first, after `after`. */
  list(filter: LogFilter, after: Cursor | undefined, limit: number): Promise<LogEntry[]>;
  /** One per producer asked for; `contiguous` 0 for those it has never heard of. */
  watermarks(producers: readonly string[]): Promise<Watermark[]>;
  /** At most `limit`. */
  gaps(limit: number): Promise<Gap[]>;
  summarize(workspaceId: string, from: number | undefined, to: number | undefined): Promise<ModelTotal[]>;
}

/** The key pair that producers seal payloads to. Its private half MUST NOT be in the store that holds what it opens. */
export interface TransportKey {
  /** X25519, 32 bytes. Made where there is none. @throws WeirError internal where it can be neither read nor made */
  publicKey(): Uint8Array;
  /**
   * @param requestId what it was sealed for
   * @throws WeirError not_found where it is sealed to a key that is not here; internal for bytes that were changed
   */
  open(sealed: Uint8Array, requestId: string): Uint8Array;
}
