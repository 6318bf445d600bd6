import type { Gap, LogEntry, LogFilter, ModelTotal, Watermark } from "./domain/log-entry.ts";
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
  /** At most `limit`, newest first, after `after`. */
  list(filter: LogFilter, after: Cursor | undefined, limit: number): Promise<LogEntry[]>;
  /** One per producer asked for; `contiguous` 0 for those it has never heard of. */
  watermarks(producers: readonly string[]): Promise<Watermark[]>;
  /** At most `limit`. */
  gaps(limit: number): Promise<Gap[]>;
  summarize(workspaceId: string, from: number | undefined, to: number | undefined): Promise<ModelTotal[]>;
}
