import { merged, type NumberRange, ownNumbers } from "@weir/proofs";
import { KIND, type LogRecord } from "./record.ts";

/** What a batch tells about one producer. */
export interface ProducerAccount {
  /** Numbers that a record has or answers; sorted, apart from each other. */
  readonly accounted: readonly NumberRange[];
  /** Of its epoch-close, where it is in the batch. */
  readonly closeNumber: number | undefined;
  /** Its last valid number, as its successor found it. */
  readonly lastNumber: number | undefined;
}

interface Draft {
  readonly ranges: NumberRange[];
  closeNumber: number | undefined;
  lastNumber: number | undefined;
}

/**
 * Which numbers a batch accounts for, by producer. A record accounts for its own number and for the intent it answers: an outcome carries
 * its intent, so an intent that was never sent alone is not missing. Order and repetition make no difference.
 */
export function accountOf(records: readonly LogRecord[]): Map<string, ProducerAccount> {
  const drafts = new Map<string, Draft>();
  const draft = (producer: string): Draft => {
    let found = drafts.get(producer);
    if (found === undefined) {
      found = { ranges: [], closeNumber: undefined, lastNumber: undefined };
      drafts.set(producer, found);
    }
    return found;
  };
  for (const record of records) {
    const own = draft(record.producer);
    own.ranges.push(ownNumbers(record.number, record.intentNumber));
    if (record.number >= 0 && record.intentNumber > 0) {
      const answered = record.intentProducer === "" ? own : draft(record.intentProducer);
      answered.ranges.push({ first: record.intentNumber, last: record.intentNumber });
    }
    if (record.kind === KIND.epochClose) own.closeNumber = record.number;
    if (record.predecessor !== undefined) {
      const before = draft(record.predecessor.producer);
      before.lastNumber = Math.max(before.lastNumber ?? 0, record.predecessor.lastNumber);
    }
  }
  return new Map(
    [...drafts].map(([producer, { ranges, closeNumber, lastNumber }]) => [
      producer,
      { accounted: merged(ranges), closeNumber, lastNumber },
    ]),
  );
}
