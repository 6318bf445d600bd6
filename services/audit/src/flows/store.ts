import { WeirError } from "@weir/kernel";
import { KIND, type LogRecord, quarantined } from "../domain/record.ts";
import type { LogWriter } from "../ports.ts";

/** What the consumer tells about itself; implemented by events.ts. */
export interface StoreEvents {
  readonly stored: (records: number, fresh: number) => void;
  readonly storeAway: (error: WeirError) => void;
  readonly quarantined: (record: LogRecord, error: unknown) => void;
}

export interface StoreDependencies {
  readonly log: LogWriter;
  readonly events: StoreEvents;
  readonly nowMs: () => number;
  /** Rejects when the service ends. */
  readonly wait: (ms: number) => Promise<void>;
}

// 100 to 600 records share the cost of a statement; more only lengthen the sequencer's lock. A batch of a relay, which has at most 500 and its
// signature, is not cut: a head would have records whose signature comes behind it.
const ENOUGH_RECORDS = 100;
const MAX_RECORDS = 600;
const MAX_BYTES = 4 << 20;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2_000;

/**
 * Stores what was delivered and resolves when all of it is stored: that is the acknowledgement. Nothing is ever given up. While the store is
 * away it waits (so nothing more is fetched) and goes on by itself; a record the store refuses is kept as a quarantined one, and those around
 * it are stored as they are. Rejects when the service ends, or when not even the quarantined form can be stored: then it is delivered again.
 */
export async function storeAll(records: Iterable<LogRecord>, deps: StoreDependencies): Promise<void> {
  // One chunk is on its way while the next is read from its bytes.
  let inFlight = Promise.resolve();
  for (const chunk of chunksOf(records)) {
    await inFlight;
    inFlight = store(chunk, deps);
    // Handled by the await above or below; without this, reading the next chunk would leave it unhandled for a moment.
    inFlight.catch(() => undefined);
  }
  await inFlight;
}

async function store(records: readonly LogRecord[], deps: StoreDependencies): Promise<void> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      const fresh = await deps.log.append(records);
      return deps.events.stored(records.length, fresh);
    } catch (error) {
      if (!(error instanceof WeirError) || error.reason !== "audit_unavailable") return refused(records, error, deps);
      deps.events.storeAway(error);
      await deps.wait(waitMs);
    }
  }
}

async function refused(records: readonly LogRecord[], error: unknown, deps: StoreDependencies): Promise<void> {
  const [first] = records;
  if (first === undefined) throw error;
  if (records.length === 1) {
    if (first.kind === KIND.quarantined) throw error;
    deps.events.quarantined(first, error);
    return store([quarantined(first, deps.nowMs())], deps);
  }
  const middle = records.length >> 1;
  await store(records.slice(0, middle), deps);
  await store(records.slice(middle), deps);
}

function* chunksOf(records: Iterable<LogRecord>): Generator<LogRecord[]> {
  let chunk: LogRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = record.header.length + record.payload.length;
    if (chunk.length === MAX_RECORDS || (chunk.length > 0 && bytes + size > MAX_BYTES)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(record);
    bytes += size;
    if (record.kind === KIND.signature && chunk.length >= ENOUGH_RECORDS) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}
