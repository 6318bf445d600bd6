import type { ChatRequest } from "@weir/dialects";
import type { DatasetRecord } from "./dataset.ts";

/** A record of a dataset as a run meets it. */
export type Item = ReadItem | MissingItem;

export interface ReadItem {
  readonly id: string;
  readonly record: DatasetRecord;
  /** The request as it came, of recorded traffic; undefined: `record.input` says what was asked. */
  readonly asked: ChatRequest | undefined;
  /** In a replay: the dataset's own answer. */
  readonly baseline: string | undefined;
  /** In a replay: why the model gave no answer. */
  readonly failure: string | undefined;
}

export interface MissingItem {
  readonly id: string;
  /** Why there are no texts: "erased", "texts-not-kept", "not-in-the-log", "changed-in-the-log", "texts-unreadable". */
  readonly missing: string;
}

export const isRead = (item: Item): item is ReadItem => "record" in item;

/** In Unicode code points. */
export function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
