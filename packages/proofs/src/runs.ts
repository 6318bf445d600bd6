import type { NumberRange } from "./numbers.ts";

/** Numbers as records have them: pairs of how many lie between the last pair's end (at first 0) and this one's, and how many it has. */
export function runsOf(ranges: readonly NumberRange[]): number[] {
  let end = 0;
  return ranges.flatMap(({ first, last }) => {
    const gap = first - end;
    end = last + 1;
    return [gap, last - first + 1];
  });
}

/** @throws RangeError for what is no list of runs */
export function rangesOfRuns(runs: readonly (number | bigint)[]): NumberRange[] {
  if (runs.length % 2 !== 0) throw new RangeError("runs come in pairs");
  const ranges: NumberRange[] = [];
  let end = 0;
  for (let at = 0; at < runs.length; at += 2) {
    const first = end + Number(runs[at]);
    const last = first + Number(runs[at + 1]) - 1;
    if (!Number.isSafeInteger(last) || last < first || first < end)
      throw new RangeError("a run has at least one number");
    ranges.push({ first, last });
    end = last + 1;
  }
  return ranges;
}

/** What is in `of` and not in `without`; both sorted and each apart. */
export function subtracted(of: readonly NumberRange[], without: readonly NumberRange[]): NumberRange[] {
  const left: NumberRange[] = [];
  let at = 0;
  for (const range of of) {
    let { first } = range;
    for (; at < without.length && (without[at] as NumberRange).last < first; at++);
    for (let next = at; next < without.length; next++) {
      const hole = without[next] as NumberRange;
      if (hole.first > range.last) break;
      if (hole.first > first) left.push({ first, last: hole.first - 1 });
      first = Math.max(first, hole.last + 1);
    }
    if (first <= range.last) left.push({ first, last: range.last });
  }
  return left;
}
