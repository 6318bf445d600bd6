import { type Detect, type Finding, Scan, type Sight } from "./detector.ts";
import { assessInjection, INJECTION_THRESHOLD, INJECTION_WORDS } from "./detectors/injection.ts";
import { KEY_PREFIXES } from "./detectors/secrets.ts";
import { encodedTexts } from "./encoded.ts";
import { mayReadOtherwise, type Plain, plainOf, wholeEnd } from "./plain.ts";
import { Machine, type Pattern } from "./pattern/machine.ts";
import { type Action, detectorName, finderOf, type Place, type Rule } from "./rules.ts";
import { look, SightPlan } from "./sight.ts";

/** What one place of one configuration is scanned for, compiled once. */
export interface Scanner {
  readonly place: Place;
  /** By index in `detect` and `patterns`: whose finding it is. */
  readonly sources: readonly Source[];
  readonly detect: readonly { readonly detect: Detect; readonly source: number }[];
  readonly patterns: readonly { readonly pattern: Pattern; readonly label: string; readonly source: number }[];
  readonly judges: readonly Judge[];
  readonly plan: SightPlan;
}

export interface Source {
  readonly detector: string;
  readonly action: Action;
}

/** Judges a whole text. */
export interface Judge extends Source {
  /** `sight`: of the same text, by the scanner's plan. */
  readonly fails: (text: string, sight: Sight | undefined) => boolean;
  /** Whether texts that are read one behind the other are judged as one, too. */
  readonly joins: boolean;
}

const STRENGTH: Readonly<Record<Action, number>> = { allow: 0, flag: 1, redact: 2, block: 3 };

/**
 * @returns undefined where no rule speaks of the place: then nothing is to be done there at all
 * @throws WeirError invalid_request for a pattern that cannot be used
 */
export function compileScanner(rules: readonly Rule[], place: Place): Scanner | undefined {
  const sources: Source[] = [];
  const detect: Scanner["detect"][number][] = [];
  const found: Scanner["patterns"][number][] = [];
  const judges: Judge[] = [];
  const words: string[] = [];
  let prefixes: readonly string[] = [];
  for (const rule of strongest(rules.filter((candidate) => candidate.places.includes(place)))) {
    const { action } = rule;
    const name = detectorName(rule.detector);
    const finder = finderOf(rule.detector);
    if (finder === undefined) {
      judges.push(judgeOf(rule, name, place));
      if (rule.detector.kind === "injection") words.push(...INJECTION_WORDS);
      continue;
    }
    const source = sources.push({ detector: name, action }) - 1;
    if ("pattern" in finder) {
      for (const pattern of finder.pattern.patterns) found.push({ pattern, label: finder.pattern.label, source });
    } else {
      detect.push({ detect: finder.detector.detect, source });
      words.push(...(finder.detector.words ?? []));
      if (rule.detector.kind === "secrets") prefixes = KEY_PREFIXES;
    }
  }
  if (sources.length === 0 && judges.length === 0) return undefined;
  return { place, sources, detect, patterns: found, judges, plan: new SightPlan(words, prefixes) };
}

/** Of the fixed detectors one rule each: the strongest. Lists and patterns are rules of their own. */
function strongest(rules: readonly Rule[]): Rule[] {
  const kept = new Map<string, Rule>();
  for (const [index, rule] of rules.entries()) {
    const { kind } = rule.detector;
    const isList =
      kind === "names" ||
      kind === "topics" ||
      kind === "patterns" ||
      kind === "urls" ||
      kind === "code" ||
      kind === "check";
    const key = isList || rule.action === "allow" ? `${kind} ${index}` : kind;
    const known = kept.get(key);
    if (known === undefined || STRENGTH[rule.action] > STRENGTH[known.action]) kept.set(key, rule);
  }
  return [...kept.values()];
}

function judgeOf(rule: Rule, detector: string, place: Place): Judge {
  const { action } = rule;
  const choice = rule.detector;
  if (choice.kind === "check") return { detector, action, joins: false, fails: (text) => !choice.passes(text) };
  const threshold = (choice.kind === "injection" ? choice.threshold : undefined) ?? INJECTION_THRESHOLD;
  const asData = place === "tool-results";
  return {
    detector,
    action,
    joins: true,
    fails: (text, sight) => assessInjection(text, sight, asData).score >= threshold,
  };
}

/** A finding and whose it is. */
export interface Owned extends Finding {
  readonly source: number;
}

const scan = new Scan();

/** What a window holds. */
export interface Scanned {
  readonly found: Owned[];
  /** Up to where more text cannot change what is found. */
  readonly decided: number;
  /** Undefined where none was needed. */
  readonly sight: Sight | undefined;
  /** Some of it is read otherwise than it is written. */
  readonly otherwise: boolean;
}

/** So far before a finding stand the words that decide about it. */
const NEAR = 64;

/** Scans a window, as it is written, as it is read, and what is in it as base64; see Scan for what `from` and `final` say. */
export function scanWindow(scanner: Scanner, text: string, from: number, final: boolean): Scanned {
  const found: Owned[] = [];
  if (scanner.detect.length === 0 && scanner.plan.words.length === 0)
    return { found, decided: text.length, sight: undefined, otherwise: false };
  const whole = final ? text.length : Math.max(from, wholeEnd(text));
  const seen = whole === text.length ? text : text.slice(0, whole);
  const sight = look(seen, scanner.plan);
  let decided = detectAll(scanner, seen, from, final, sight, found);
  const readAsWritten = scanner.detect.length === 0 || !mayReadOtherwise(seen, sight.ascii);
  const plain = readAsWritten ? undefined : plainOf(seen, Math.max(0, from - NEAR));
  if (plain !== undefined) decided = Math.min(decided, scanPlain(scanner, plain, from, final, found));
  if (scanner.detect.length > 0) {
    const undecided = (start: number): void => void (decided = Math.min(decided, Math.max(start, from)));
    for (const { start, end, plain: hidden } of encodedTexts(seen, from, final, undecided)) {
      const inside: Owned[] = [];
      detectAll(scanner, hidden, 0, true, look(hidden, scanner.plan), inside);
      for (const { label, source } of inside) if (start >= from) found.push({ start, end, label, source });
    }
  }
  return { found, decided: final ? text.length : decided, sight, otherwise: plain !== undefined };
}

function detectAll(scanner: Scanner, text: string, from: number, final: boolean, sight: Sight, found: Owned[]): number {
  scan.begin(text, from, final);
  for (const { detect, source } of scanner.detect) {
    detect(scan, sight);
    if (scan.findings.length === 0) continue;
    for (const { start, end, label } of scan.findings) found.push({ start, end, label, source });
    scan.findings = [];
  }
  return final ? text.length : scan.decided;
}

/** @returns up to where it is decided, in the raw text */
function scanPlain(
  scanner: Scanner,
  { text, starts, ends }: Plain,
  from: number,
  final: boolean,
  found: Owned[],
): number {
  const read: Owned[] = [];
  const decided = detectAll(scanner, text, firstFrom(starts, from), final, look(text, scanner.plan), read);
  for (const finding of read)
    found.push({ ...finding, start: starts[finding.start] as number, end: ends[finding.end - 1] as number });
  return starts[decided] ?? Number.POSITIVE_INFINITY;
}

/** The first index of the sorted offsets whose offset is at least `from`. */
function firstFrom(starts: Int32Array, from: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Runs of the scanner's patterns over one text. */
export function runPatterns(scanner: Scanner): {
  push(text: string): void;
  end(): void;
  take(): Owned[];
  readonly undecided: number;
} {
  let found: Owned[] = [];
  const runs = scanner.patterns.map(({ pattern, label, source }) => ({
    machine: new Machine(pattern),
    report: (start: number, end: number): void => void found.push({ start, end, label, source }),
  }));
  return {
    push(text) {
      for (const { machine, report } of runs) machine.push(text, report);
    },
    end() {
      for (const { machine, report } of runs) machine.end(report);
    },
    take() {
      const taken = found;
      found = [];
      return taken;
    },
    get undecided() {
      let least = Number.MAX_SAFE_INTEGER;
      for (const { machine } of runs) least = Math.min(least, machine.undecided);
      return least;
    },
  };
}
