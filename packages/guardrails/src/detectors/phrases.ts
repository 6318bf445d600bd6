import type { Detector, Label, Scan, SeenWord } from "../detector.ts";
import {
  FOLDED,
  foldedLow,
  foldWord,
  foldWords,
  INVISIBLE,
  MATH_HIGH,
  OTHER_LETTER,
  SEPARATOR,
  TAG_HIGH,
} from "../fold.ts";

const MAX_PHRASE = 256;
/** Between two words of a phrase: a blank, a dash, a line break, a dot and a blank. */
const MAX_GAP = 4;
/** A word that may still grow. What is longer is no word of a phrase. */
const MAX_WORD = 64;

/**
 * Names or topics: phrases, compared by their folded words, so that case, accents and look-alikes make no difference. Phrases of a
 * script without blanks between words are looked for as they are.
 */
export function phrases(name: string, label: Label, list: readonly string[]): Detector {
  const byFirst = new Map<string, string[][]>();
  const unspaced: string[] = [];
  for (const phrase of list) {
    const text = phrase.trim().slice(0, MAX_PHRASE);
    if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u.test(text)) unspaced.push(text);
    const words = foldWords(text);
    const [first] = words;
    if (first === undefined || unspaced.includes(text)) continue;
    byFirst.set(first, [...(byFirst.get(first) ?? []), words]);
  }
  return {
    name,
    words: [...byFirst.keys()],
    detect(scan, sight) {
      for (const word of sight.words) phrasesAt(scan, label, word, byFirst.get(word.word));
      for (const phrase of unspaced) literal(scan, label, phrase);
      if (!scan.final) scan.undecided(wordStart(scan.text));
    },
  };
}

function literal(scan: Scan, label: Label, phrase: string): void {
  const { text } = scan;
  for (let at = text.indexOf(phrase); at !== -1; at = text.indexOf(phrase, at + 1))
    scan.found(label, at, at + phrase.length);
  if (scan.final) return;
  for (let length = Math.min(phrase.length - 1, text.length); length > 0; length -= 1)
    if (text.endsWith(phrase.slice(0, length))) return scan.undecided(text.length - length);
}

const isPart = (code: number): boolean => FOLDED[code] !== SEPARATOR || (code >= 0xd800 && code < 0xe000);

function wordStart(text: string): number {
  let at = text.length;
  while (at > 0 && text.length - at < MAX_WORD && isPart(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function phrasesAt(scan: Scan, label: Label, seen: SeenWord, candidates: readonly string[][] | undefined): void {
  // A word beyond what is held back may have lost its start.
  if (candidates === undefined || seen.end - seen.start > MAX_WORD) return;
  const { text } = scan;
  if (foldWord(text.slice(seen.start, seen.end)) !== seen.word) return;
  if (seen.end === text.length) scan.undecided(seen.start);
  for (const words of candidates) {
    let end = seen.end;
    let matched = 1;
    while (matched < words.length) {
      const next = wordEnd(text, end, words[matched] as string);
      if (next === -1) break;
      if (next >= text.length) scan.undecided(seen.start);
      end = next;
      matched += 1;
    }
    if (matched < words.length) {
      if (!scan.final && mayGoOn(text, end)) scan.undecided(seen.start);
    } else scan.found(label, seen.start, end);
  }
}

/** The window ends in the gap behind a word, or in the word behind that. */
function mayGoOn(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && at - end <= MAX_GAP && !isPart(text.charCodeAt(at))) at += 1;
  if (at - end > MAX_GAP) return false;
  const word = at;
  while (at < text.length && at - word <= MAX_WORD && isPart(text.charCodeAt(at))) at += 1;
  return at >= text.length;
}

/** Where the word ends if it is the next one after `from`; -1 if it is not. */
function wordEnd(text: string, from: number, word: string): number {
  let at = from;
  while (at < text.length && at - from <= MAX_GAP && !isPart(text.charCodeAt(at))) at += 1;
  if (at === from || at - from > MAX_GAP) return -1;
  let matched = 0;
  const start = at;
  for (; at < text.length && at - start <= MAX_WORD; at += 1) {
    const code = text.charCodeAt(at);
    let letter = FOLDED[code] as number;
    if (letter === INVISIBLE) continue;
    if ((code === MATH_HIGH || code === TAG_HIGH) && at + 1 < text.length)
      letter = foldedLow(code, text.charCodeAt((at += 1)));
    if (letter === INVISIBLE) continue;
    if (letter === SEPARATOR) break;
    const expected = letter === OTHER_LETTER ? String.fromCharCode(code).toLowerCase().charCodeAt(0) : letter;
    if (word.charCodeAt(matched) !== expected) return -1;
    matched += 1;
  }
  return matched === word.length ? at : -1;
}
