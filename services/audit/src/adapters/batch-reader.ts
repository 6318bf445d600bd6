import { type Batch, decodeFrames, FRAME_KIND } from "@weir/events";
import { searchable } from "@weir/proofs";
import type { LogRecord } from "../domain/record.ts";
import { recordOf } from "./header-reader.ts";

/** Told of bytes in a batch that are no frame. */
export type OnUnread = (producer: string, bytes: number) => void;

/** The records of delivered batches, read as they are asked for: the next are read while the last are on their way to the store. */
export function* readBatches(batches: readonly Batch[], nowMs: number, onUnread: OnUnread): Generator<LogRecord> {
  for (const batch of batches) {
    const producer = searchable(batch.producer);
    for (const frame of decodeFrames(batch.data).frames) {
      if (frame.kind === FRAME_KIND.quarantined) onUnread(producer, frame.header.length);
      yield recordOf(producer, frame, nowMs);
    }
  }
}
