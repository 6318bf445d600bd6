/**
 * How long what a request took is remembered, in microseconds: until time has repaid it, but not shorter, for callers who ask again, and not
 * longer. What is settled later than that corrects nothing: its estimate stays taken, which admits less and never more.
 */
export const MEMORY_US = { shortest: 10_000_000, longest: 3_600_000_000 } as const;
