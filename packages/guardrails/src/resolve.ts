import type { Owned, Scanner, Source } from "./scanner.ts";

/** A stretch of text that is one finding to whoever reads the text: what overlaps is merged. */
export interface Span {
  /** What is cut, or else what was found. */
  readonly start: number;
  readonly end: number;
  /** All that overlaps it: decided about as a whole. */
  readonly from: number;
  readonly to: number;
  /** Of the longest finding in it. */
  readonly label: string;
  /** Whether it must not be shown. */
  readonly cut: boolean;
  /** Some finding in it blocks. */
  readonly blocks: Source | undefined;
  /** One per detector that found something in it. */
  readonly sources: readonly Source[];
}

/** Findings as disjoint spans in order; those that an `allow` rule covers are left out, but for the hold on what is allowed. */
export function resolve(scanner: Scanner, found: readonly Owned[]): Span[] {
  if (found.length === 0) return NONE;
  const sourceOf = ({ source }: Owned): Source => scanner.sources[source] as Source;
  const isAllow = (finding: Owned): boolean => sourceOf(finding).action === "allow";
  const covers = coverOf(found.filter(isAllow));
  const sorted = found
    .filter((finding) => isAllow(finding) || !covers(finding))
    .sort((a, b) => a.start - b.start || b.end - a.end);
  const spans: Span[] = [];
  let group: Owned[] = [];
  let end = -1;
  const close = (): void => {
    if (group.length > 0) spans.push(spanOf(group, sourceOf));
    group = [];
  };
  for (const finding of sorted) {
    if (finding.start >= end) close();
    group.push(finding);
    end = Math.max(end, finding.end);
  }
  close();
  return spans;
}

const NONE: Span[] = [];

/** Whether one of the findings holds another one whole. */
function coverOf(allowed: Owned[]): (finding: Owned) => boolean {
  if (allowed.length === 0) return () => false;
  allowed.sort((a, b) => a.start - b.start);
  // By index: the furthest end of it and all before.
  const ends: number[] = [];
  for (const { end } of allowed) ends.push(Math.max(end, ends.at(-1) ?? 0));
  return ({ start, end }) => {
    let low = 0;
    let high = allowed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((allowed[middle] as Owned).start <= start) low = middle + 1;
      else high = middle;
    }
    return low > 0 && (ends[low - 1] as number) >= end;
  };
}

function spanOf(group: readonly Owned[], sourceOf: (finding: Owned) => Source): Span {
  let start = Number.MAX_SAFE_INTEGER;
  let end = 0;
  let longest: Owned | undefined;
  let blocks: Source | undefined;
  const sources = new Set<Source>();
  for (const finding of group) {
    const source = sourceOf(finding);
    if (source.action === "allow") continue;
    sources.add(source);
    if (source.action === "block") blocks ??= source;
    if (source.action === "flag") continue;
    start = Math.min(start, finding.start);
    end = Math.max(end, finding.end);
    if (longest === undefined || finding.end - finding.start > longest.end - longest.start) longest = finding;
  }
  const cut = longest !== undefined;
  let from = Number.MAX_SAFE_INTEGER;
  let to = 0;
  for (const finding of group) {
    from = Math.min(from, finding.start);
    to = Math.max(to, finding.end);
  }
  return {
    start: cut ? start : from,
    end: cut ? end : to,
    from,
    to,
    label: longest?.label ?? "",
    cut,
    blocks,
    sources: [...sources],
  };
}
