import { KIND, type LogRecord } from "./record.ts";

/** Both ends included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

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
    const first = standsFor(record.number);
    own.ranges.push({ first, last: record.number < 0 ? Math.max(first, record.intentNumber) : first });
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

/** The same numbers as few ranges, sorted and apart. Ranges that begin below 1 stand for nothing and are left out. */
export function merged(ranges: readonly NumberRange[]): NumberRange[] {
  const sorted = ranges.filter(({ first }) => first >= 1).sort((a, b) => a.first - b.first);
  const result: { first: number; last: number }[] = [];
  for (const { first, last } of sorted) {
    const before = result.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else result.push({ first, last });
  }
  return result;
}

const LARGEST_NUMBER = 2 ** 48;

/**
 * The number under which bytes that could not be read are logged: minus the first number that is missing where they lay, so that a
 * true record that comes after all still finds its own place free. Where nobody knows, a number below all of those, from a digest of the
 * bytes: the same bytes always get the same one, and redelivery has no effect.
 * @param missing 0: not known
 * @param digest at least 6 bytes of a hash of the bytes
 */
export function unreadNumber(missing: number, digest: Uint8Array): number {
  if (missing > 0) return 0 - missing;
  let value = 0;
  for (const byte of digest.subarray(0, 6)) value = value * 256 + byte;
  return 0 - LARGEST_NUMBER - value;
}

/** The number that a record stands for; 0: not known. */
export function standsFor(number: number): number {
  if (number >= 0) return number;
  return 0 - number < LARGEST_NUMBER ? 0 - number : 0;
}
