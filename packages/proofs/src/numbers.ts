/** Numbers of one producer, both ends included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
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

/**
 * The numbers of its own producer that a record accounts for: its own, or all that unreadable bytes stand for.
 * @param number as in LeafRecord
 * @param intentNumber of unreadable bytes: the last number that they stand for
 */
export function ownNumbers(number: number, intentNumber: number): NumberRange {
  const first = standsFor(number);
  return { first, last: number < 0 ? Math.max(first, intentNumber) : first };
}
