/**
 * Lists of names in which a name may end in "*", which stands for any ending. Two such patterns overlap in one of them or not at all, so lists
 * are closed under intersection. In an allow list none means all; the one empty name means none, as nothing has an empty name.
 */
export const NOTHING: readonly string[] = [""];

export const isNothing = (list: readonly string[]): boolean => list.length === 1 && list[0] === "";

/** Whether a name is one of the pattern's: equal, or with the beginning that a "*" at the end leaves open. */
export const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

export function matchesAny(patterns: readonly string[], name: string): boolean {
  for (const pattern of patterns) if (matches(pattern, name)) return true;
  return false;
}

/** Whether an allow list lets a name through. */
export const allows = (patterns: readonly string[], name: string): boolean =>
  patterns.length === 0 || matchesAny(patterns, name);

/** Whether all that the other stands for is in the one. */
type Covers<T> = (one: T, other: T) => boolean;

/** Without those that another one covers. */
export const minimal = <T>(items: readonly T[], covers: Covers<T>): T[] =>
  items.filter(
    (one, index) =>
      !items.some((other, at) => at !== index && covers(other, one) && (at < index || !covers(one, other))),
  );

/** What two lists have in common, where two of their kind overlap in one of them or not at all. */
export function common<T>(a: readonly T[], b: readonly T[], covers: Covers<T>): T[] {
  const both: T[] = [];
  for (const one of a) {
    for (const other of b) {
      if (covers(one, other)) both.push(other);
      else if (covers(other, one)) both.push(one);
    }
  }
  return minimal(both, covers);
}

/** In one order and without what is covered: equal lists mean the same. */
const plain = (patterns: readonly string[]): readonly string[] => minimal([...new Set(patterns)], matches).sort();

/** What both allow lists let through. */
export function intersection(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0) return plain(b);
  if (b.length === 0) return plain(a);
  const both = common(a, b, matches);
  return both.length === 0 ? NOTHING : both.sort();
}

/** What one of the deny lists names. */
export const union = (a: readonly string[], b: readonly string[]): readonly string[] => plain([...a, ...b]);
