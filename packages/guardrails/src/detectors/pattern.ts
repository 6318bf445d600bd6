import type { Label } from "../detector.ts";
import { Pattern } from "../pattern/machine.ts";

/** An operator's own patterns: each run goes over the text once, keeping its state between the pieces of a stream. */
export interface PatternDetector {
  readonly name: string;
  readonly label: Label;
  readonly patterns: readonly Pattern[];
}

/** @throws WeirError invalid_request for a pattern that cannot be matched in linear time */
export function patterns(name: string, label: Label, sources: readonly string[], ignoreCase: boolean): PatternDetector {
  return { name, label, patterns: sources.map((source) => new Pattern(source, { ignoreCase })) };
}
