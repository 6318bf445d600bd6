/**
 * Attempts to override a model's instructions: weighed signs of it, not one pattern. Words are compared folded (fold.ts), so accents,
 * look-alikes, zero-width characters and 1gn0re make no difference; words spelled with blanks and base64 are looked into. A heuristic:
 * it finds what is said openly, and a determined attacker gets past it.
 */
import type { SeenWord, Sight } from "../detector.ts";
import { foldWord } from "../fold.ts";
import { mayReadOtherwise, plainOf } from "../plain.ts";
import { look, SightPlan } from "../sight.ts";
import { encodedTexts, invisibles, spelledOut } from "./injection-hidden.ts";
import { MARKS, SIGNALS, type Signal } from "./injection-signals.ts";
import { WORD_CLASSES, type WordClass } from "./injection-words.ts";

export const INJECTION_THRESHOLD = 1;

/** Phrases around a quotation that make it one: what is talked about is not done. */
const ABOUT = wordSet(
  "example examples attack attacks attacker attackers injection injections phrase phrases phrasing pattern patterns detect detects detecting detection detector defend defending defense defenses prevent preventing " +
    "prevention vulnerability vulnerabilities owasp called such like saying says attempt attempts malicious adversarial explain explains explained classifier filter filters security researcher researchers paper article " +
    "documentation test tests testing mitigate mitigation mitigations technique techniques sanitize blog jailbreaking red refers define definition term",
);
const ABOUT_REACH = 24;

function wordSet(words: string): ReadonlySet<string> {
  return new Set(words.split(" ").map(foldWord));
}

const EXACT = new Set(
  SIGNALS.flatMap(({ words }) => words.flatMap((item) => (typeof item === "string" ? [] : [foldWord(item.exactly)]))),
);
/** Every word that matters to this detector. */
export const INJECTION_WORDS: readonly string[] = [...new Set([...WORD_CLASSES.keys(), ...EXACT, ...ABOUT])];

/** A signal whose steps have their places in one list of all steps of all signals. */
interface Compiled extends Signal {
  readonly first: number;
  readonly last: number;
}

const COMPILED: Compiled[] = [];
const NAMES: string[] = [];
for (const signal of SIGNALS) {
  const first = NAMES.length;
  for (const item of signal.words) NAMES.push(typeof item === "string" ? `class ${item}` : foldWord(item.exactly));
  COMPILED.push({ ...signal, first, last: NAMES.length - 1 });
}

interface Meaning {
  readonly about: boolean;
  /** The steps that it may be; of one signal the later first, since a word is not two steps of it. */
  readonly steps: readonly { readonly signal: Compiled; readonly place: number }[];
}

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  INJECTION_WORDS.map((word) => {
    const names = [word, ...(WORD_CLASSES.get(word) ?? []).map((name: WordClass) => `class ${name}`)];
    const steps: { signal: Compiled; place: number }[] = [];
    for (const signal of COMPILED)
      for (let place = signal.last; place >= signal.first; place -= 1)
        if (names.includes(NAMES[place] as string)) steps.push({ signal, place });
    return [word, { about: ABOUT.has(word), steps }];
  }),
);

export interface Assessment {
  /** INJECTION_THRESHOLD and above: an attempt, unless the caller set another. */
  readonly score: number;
  /** Names of what was found, for the record: none of them holds text. */
  readonly signals: readonly string[];
}

const NOTHING: Assessment = { score: 0, signals: [] };

/** For a text that nobody looked at yet. */
const PLAN = new SightPlan(INJECTION_WORDS, []);

/**
 * @param sight of the same text, where its plan has INJECTION_WORDS; else it is looked at here
 * @param asData the text came from a tool or a document: nobody may give instructions there
 */
export function assessInjection(text: string, sight: Sight | undefined, asData: boolean): Assessment {
  const seen = sight ?? look(text, PLAN);
  const written = assess(text, seen, asData);
  const plain = mayReadOtherwise(text, seen.ascii) ? plainOf(text) : undefined;
  if (plain === undefined) return written;
  const read = assess(plain.text, undefined, asData);
  return read.score > written.score ? read : written;
}

function assess(text: string, sight: Sight | undefined, asData: boolean): Assessment {
  const weights = new Map<string, number>();
  count(text, (sight ?? look(text, PLAN)).words, asData, weights);
  if (text.includes("<") || text.includes("[") || text.includes("\n"))
    for (const [mark, weight] of MARKS) if (text.includes(mark)) raise(weights, "format-marks", weight);
  hidden(text, asData, weights);
  if (weights.size === 0) return NOTHING;
  let score = 0;
  for (const weight of weights.values()) score += weight;
  return { score, signals: [...weights.keys()] };
}

/** The strongest of a name counts: repeating oneself is no second sign. */
function raise(weights: Map<string, number>, name: string, weight: number): void {
  weights.set(name, Math.max(weights.get(name) ?? 0, weight));
}

function count(text: string, words: readonly SeenWord[], asData: boolean, weights: Map<string, number>): void {
  // Of each step: the word that reached it last, and the one that its signal began with.
  const reached = new Int32Array(NAMES.length).fill(-1);
  const begun = new Int32Array(NAMES.length);
  const about: number[] = [];
  const whole: { signal: Compiled; first: SeenWord; last: SeenWord }[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as SeenWord;
    const meaning = MEANINGS.get(word.word);
    if (meaning === undefined) continue;
    // A part of a host (evil.example) says nothing about the text.
    if (meaning.about && text[word.start - 1] !== ".") about.push(word.ordinal);
    for (const { signal, place } of meaning.steps) {
      if (signal.inData === true && !asData) continue;
      if (place === signal.first) begun[place] = index;
      else {
        const last = reached[place - 1] as number;
        if (last === -1 || last === index || word.ordinal - (words[last] as SeenWord).ordinal - 1 > signal.gap)
          continue;
        begun[place] = begun[place - 1] as number;
      }
      reached[place] = index;
      if (place === signal.last) whole.push({ signal, first: words[begun[place] as number] as SeenWord, last: word });
    }
  }
  for (const { signal, first, last } of whole) {
    if ((weights.get(signal.name) ?? 0) < signal.weight)
      raise(weights, signal.name, signal.weight * mentioned(text, first, last, about));
  }
}

/** A phrase in quotes that is talked about counts little; one that is only quoted, or only near such words, a part. */
function mentioned(text: string, first: SeenWord, last: SeenWord, about: readonly number[]): number {
  const near =
    isNear(about, first.ordinal - ABOUT_REACH, first.ordinal) ||
    isNear(about, last.ordinal + 1, last.ordinal + 1 + ABOUT_REACH);
  const quoted =
    hasQuote(text, first.start - QUOTE_REACH, first.start) && hasQuote(text, last.end, last.end + QUOTE_REACH);
  if (quoted && near) return 0.25;
  return quoted || near ? 0.6 : 1;
}

/** Whether one of the sorted numbers is at least `from` and less than `to`. */
function isNear(sorted: readonly number[], from: number, to: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low < sorted.length && (sorted[low] as number) < to;
}

const QUOTES = "\"'`“”‘’«»„";

const QUOTE_REACH = 60;

function hasQuote(text: string, from: number, to: number): boolean {
  for (let at = Math.max(0, from); at < to && at < text.length; at += 1)
    if (QUOTES.includes(text.charAt(at))) return true;
  return false;
}

/** What was hidden in the text. Who hides it means it. */
function hidden(text: string, asData: boolean, weights: Map<string, number>): void {
  const { tags, others } = invisibles(text);
  if (tags > 3) raise(weights, "invisible-text", 0.9);
  if (others > 8) raise(weights, "invisible-text", 0.4);
  if (COMPACT.test(spelledOut(text))) raise(weights, "spelled-out", 1);
  for (const plain of encodedTexts(text)) {
    const found = new Map<string, number>();
    count(plain, look(plain, PLAN).words, asData, found);
    let score = 0;
    for (const weight of found.values()) score += weight;
    if (score > 0) raise(weights, "encoded", score * 1.5);
  }
}

/** Folded: i for l, and no blanks. */
const COMPACT =
  /(?:ignore|disregard|forget|override).{0,12}(?:previous|prior|above|aii|your).{0,12}(?:instruction|ruies|prompt)/;
