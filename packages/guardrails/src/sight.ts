import type { SeenWord, Sight } from "./detector.ts";
import { FOLDED, foldedLow, INVISIBLE, MATH_HIGH, OTHER_LETTER, SEPARATOR, TAG_HIGH } from "./fold.ts";

/** Of words. FNV-1a, 32 bit. */
const SEED = 0x811c9dc5 | 0;
const PRIME = 0x01000193;

/** What the scanner's detectors want to be told of. Built once per configuration. */
export class SightPlan {
  readonly words: readonly string[];
  /** An open table of the words' hashes: what is at `hashes[slot]` is word `places[slot] - 1`; 0 is a free slot. */
  readonly hashes: Int32Array;
  readonly places: Int32Array;
  readonly mask: number;
  /** Pairs of characters that some key begins with; and, one bit for each, threes. */
  readonly pairs = new Uint8Array(1 << 14);
  readonly threes = new Uint8Array(1 << 18);

  constructor(words: Iterable<string>, keyPrefixes: Iterable<string>) {
    this.words = [...new Set(words)];
    let size = 64;
    while (size < 4 * this.words.length) size *= 2;
    this.mask = size - 1;
    this.hashes = new Int32Array(size);
    this.places = new Int32Array(size);
    for (const [index, word] of this.words.entries()) {
      const hash = hashOf(word);
      let slot = slotOf(hash, this.mask);
      while (this.places[slot] !== 0) slot = (slot + 1) & this.mask;
      this.hashes[slot] = hash;
      this.places[slot] = index + 1;
    }
    for (const prefix of keyPrefixes) {
      const pair = (prefix.charCodeAt(0) << 7) | prefix.charCodeAt(1);
      this.pairs[pair] = 1;
      const thirds = prefix.length > 2 ? [prefix.charCodeAt(2)] : Array(128).keys();
      for (const third of thirds) {
        const three = (pair << 7) | third;
        this.threes[three >> 3] = (this.threes[three >> 3] as number) | (1 << (three & 7));
      }
    }
  }
}

function hashOf(folded: string): number {
  let hash = SEED;
  for (let at = 0; at < folded.length; at += 1) hash = Math.imul(hash ^ folded.charCodeAt(at), PRIME);
  return hash;
}

const slotOf = (hash: number, mask: number): number => (hash ^ (hash >>> 15)) & mask;

const encoder = new TextEncoder();
let bytes = new Uint8Array(4_096);
let units = new Uint16Array(4_096);

/** The text's units in an array, which is read several times as fast as the text; valid until the next call. */
function unitsOf(text: string): Uint8Array | Uint16Array {
  const { length } = text;
  if (bytes.length < length) bytes = new Uint8Array(2 * length);
  const { read, written } = encoder.encodeInto(text, bytes);
  if (read === length && written === length) return bytes;
  if (units.length < length) units = new Uint16Array(2 * length);
  for (let at = 0; at < length; at += 1) units[at] = text.charCodeAt(at);
  return units;
}

/** One pass over the window for everything that several detectors look for: this is the cost of a clean text. */
export function look(text: string, plan: SightPlan): Sight {
  const codes = unitsOf(text);
  const sight: Sight = { ascii: codes === bytes, digitStarts: [], digitEnds: [], words: [], keyStarts: [] };
  if (plan.words.length > 0) seeWords(codes, text.length, plan, sight.words);
  seeNumbers(codes, text.length, plan, sight);
  // Not kept for one large text.
  if (text.length > 1 << 20) {
    bytes = new Uint8Array(4_096);
    units = new Uint16Array(4_096);
  }
  return sight;
}

/** 1: a digit, 2: a letter. */
const PLAIN = new Uint8Array(65_536);
for (let code = 0; code < 128; code += 1) {
  const character = String.fromCharCode(code);
  PLAIN[code] = /[0-9]/.test(character) ? 1 : /[A-Za-z]/.test(character) ? 2 : 0;
}

/** Numbers, and where keys may begin: at the first of some letters and digits, after a script without blanks, too. */
function seeNumbers(codes: Uint8Array | Uint16Array, length: number, plan: SightPlan, sight: Sight): void {
  const { pairs } = plan;
  const { digitStarts, digitEnds, keyStarts } = sight;
  let before = 0;
  for (let at = 0; at < length; at += 1) {
    const code = codes[at] as number;
    const kind = PLAIN[code] as number;
    if (kind !== before) {
      if (kind === 1) digitStarts.push(at);
      else if (before === 1) digitEnds.push(at);
    }
    if (before === 0 && kind !== 0 && at + 1 < length) {
      const pair = (code << 7) | (codes[at + 1] as number);
      if (pair < 1 << 14 && pairs[pair] === 1 && (at + 2 >= length || isThree(plan, pair, codes[at + 2] as number)))
        keyStarts.push(at);
    }
    before = kind;
  }
  if (before === 1) digitEnds.push(length);
}

function isThree(plan: SightPlan, pair: number, third: number): boolean {
  const three = (pair << 7) | third;
  return third < 128 && ((plan.threes[three >> 3] as number) & (1 << (three & 7))) !== 0;
}

function seeWords(codes: Uint8Array | Uint16Array, length: number, plan: SightPlan, words: SeenWord[]): void {
  const { hashes, places, mask } = plan;
  let ordinal = 0;
  let start = -1;
  let hash = SEED;
  for (let at = 0; at <= length; at += 1) {
    const code = at < length ? (codes[at] as number) : 32;
    let letter = FOLDED[code] as number;
    if (letter <= OTHER_LETTER) {
      if (letter === INVISIBLE) continue;
      if (letter === OTHER_LETTER) letter = code;
      else if ((code === MATH_HIGH || code === TAG_HIGH) && at + 1 < length) {
        letter = foldedLow(code, codes[at + 1] as number);
        at += 1;
        if (letter === INVISIBLE) continue;
      }
    }
    if (letter !== SEPARATOR) {
      if (start === -1) start = at;
      hash = Math.imul(hash ^ letter, PRIME);
    } else if (start !== -1) {
      ordinal += 1;
      // Words of the same 32-bit hash are taken for the same: who acts on a word alone compares it.
      for (let slot = slotOf(hash, mask); places[slot] !== 0; slot = (slot + 1) & mask) {
        if (hashes[slot] !== hash) continue;
        words.push({ word: plan.words[(places[slot] as number) - 1] as string, start, end: at, ordinal });
        break;
      }
      start = -1;
      hash = SEED;
    }
  }
}
