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
  readonly numbers: number[];
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
      found = { numbers: [], closeNumber: undefined, lastNumber: undefined };
      drafts.set(producer, found);
    }
    return found;
  };
  for (const record of records) {
    const own = draft(record.producer);
    own.numbers.push(standsFor(record.number));
    if (record.intentNumber > 0) {
      (record.intentProducer === "" ? own : draft(record.intentProducer)).numbers.push(record.intentNumber);
    }
    if (record.kind === KIND.epochClose) own.closeNumber = record.number;
    if (record.predecessor !== undefined) {
      const before = draft(record.predecessor.producer);
      before.lastNumber = Math.max(before.lastNumber ?? 0, record.predecessor.lastNumber);
    }
  }
  return new Map(
    [...drafts].map(([producer, { numbers, closeNumber, lastNumber }]) => [
      producer,
      { accounted: rangesOf(numbers), closeNumber, lastNumber },
    ]),
  );
}

/** The numbers >= 1 among these, as ranges. */
export function rangesOf(numbers: readonly number[]): NumberRange[] {
  const sorted = numbers.filter((number) => number >= 1).sort((a, b) => a - b);
  const ranges: NumberRange[] = [];
  let first = Number.NaN;
  let last = Number.NaN;
  for (const number of sorted) {
    if (number === last || number === last + 1) {
      last = number;
      continue;
    }
    if (!Number.isNaN(first)) ranges.push({ first, last });
    first = number;
    last = number;
  }
  if (!Number.isNaN(first)) ranges.push({ first, last });
  return ranges;
}

const LARGEST_NUMBER = 2 ** 48;

/**
 * The number under which bytes that could not be read are logged. They stand for the number that is missing where they lay, if there
 * can be no doubt: then minus that number, so that the true record still finds its own place free. Otherwise a number below all of those,
 * from a digest of the bytes: the same bytes always get the same one, and redelivery has no effect.
 * @param digest at least 6 bytes of a hash of the bytes
 */
export function unreadNumber(missing: number | undefined, digest: Uint8Array): number {
  if (missing !== undefined) return 0 - missing;
  let value = 0;
  for (const byte of digest.subarray(0, 6)) value = value * 256 + byte;
  return 0 - LARGEST_NUMBER - value;
}

/** The number that a record stands for; 0: not known. */
export function standsFor(number: number): number {
  if (number >= 0) return number;
  return 0 - number < LARGEST_NUMBER ? 0 - number : 0;
}
