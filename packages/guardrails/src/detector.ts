/**
 * What a detector is: a pure function over a text, or over a window of a text that still grows, whose cost is linear in the window's
 * length whatever it holds. Offsets are UTF-16 units.
 */

/** What a found text is called where it is replaced: [EMAIL_1]. Capital letters and underscores. */
export type Label = string;

export interface Finding {
  readonly start: number;
  readonly end: number;
  readonly label: Label;
}

/** How far to the left of a match a detector may look for what decides about it (a boundary, the word "SSN"). */
export const CONTEXT_LENGTH = 160;

/**
 * A window and what was found in it. The same window goes through all detectors of a scanner, so that what several of them need
 * (numbers, words) is looked for once.
 */
export class Scan {
  text = "";
  /** Text before it is context, at most CONTEXT_LENGTH of it: findings that start there were decided about before. */
  from = 0;
  /** No text follows. */
  final = true;
  /** Everything before it is decided: more text cannot change what is found there. */
  decided = 0;
  findings: Finding[] = [];

  begin(text: string, from: number, final: boolean): void {
    this.text = text;
    this.from = from;
    this.final = final;
    this.decided = text.length;
    this.findings = [];
  }

  found(label: Label, start: number, end: number): void {
    if (start >= this.from) this.findings.push({ start, end, label });
  }

  /** What begins here may be a match, or another one, once more text is there. MUST be told before every such end of the window. */
  undecided(start: number): void {
    if (!this.final && start < this.decided) this.decided = Math.max(start, this.from);
  }
}

/**
 * Reports every match that begins at or after `scan.from`, and what cannot be decided yet. Whether something is a match MUST depend on
 * nothing but the match itself, CONTEXT_LENGTH characters before it and a bounded number after it: then a text that comes in pieces has
 * the findings of the whole. Two matches may overlap.
 */
export type Detect = (scan: Scan, sight: Sight) => void;

/** What is looked for once for all detectors; see sight.ts. */
export interface Sight {
  /** The window has nothing but ASCII. */
  readonly ascii: boolean;
  /** Groups of ASCII digits: digit group i is text from digitStarts[i] to digitEnds[i]. */
  readonly digitStarts: number[];
  readonly digitEnds: number[];
  /** Words that some detector asked for. */
  readonly words: SeenWord[];
  /** Where a word starts with two characters that a known kind of key begins with. */
  readonly keyStarts: number[];
}

export interface SeenWord {
  /** As folded by fold.ts. */
  readonly word: string;
  readonly start: number;
  readonly end: number;
  /** How many words come before it: the distance of two words is the difference. */
  readonly ordinal: number;
}

export interface Detector {
  /** As in the configuration and in verdicts: "email", "secrets". */
  readonly name: string;
  readonly detect: Detect;
  /** Folded words that it wants to be told of. */
  readonly words?: readonly string[];
}
