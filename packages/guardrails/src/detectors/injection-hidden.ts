/** What was written so that a model reads it and people do not: invisible characters, words spelled with blanks, base64. */
import { BASE64, is, runEnd, runStart } from "../characters.ts";
import { FOLDED, foldWord, INVISIBLE, OTHER_LETTER, TAG_HIGH } from "../fold.ts";

const MIN_BLOB = 40;
const MAX_BLOB = 4_096;
const MAX_BLOBS = 16;

/** The texts that are in the text as base64. */
export function encodedTexts(text: string): string[] {
  const texts: string[] = [];
  let after = 0;
  // A run of so many characters cannot lie between two places that are so far apart.
  for (let at = MIN_BLOB - 1; at < text.length && texts.length < MAX_BLOBS; at += MIN_BLOB) {
    if (at < after || !is(text, at, BASE64)) continue;
    const start = runStart(text, at, BASE64, Math.max(after, at - MAX_BLOB));
    after = runEnd(text, at, BASE64, start + MAX_BLOB);
    if (after - start < MIN_BLOB) continue;
    const plain = decodeBase64(text.slice(start, after));
    if (plain !== undefined) texts.push(plain);
  }
  return texts;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Undefined where it is no text. */
function decodeBase64(encoded: string): string | undefined {
  let text = "";
  let bits = 0;
  let held = 0;
  let foreign = 0;
  for (const character of encoded) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) break;
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const byte = (bits >> held) & 0xff;
    if ((byte < 32 && byte !== 9 && byte !== 10 && byte !== 13) || byte === 127) return undefined;
    if (byte > 127) foreign += 1;
    if (foreign * 5 > encoded.length) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

const MIN_SPELLED = 8;
const MAX_SPELLED = 1_024;

/** Letters that each stand alone (i g n o r e  t h i s), as one folded text without blanks; "" where there are not enough. */
export function spelledOut(text: string): string {
  let spelled = "";
  for (let at = MIN_SPELLED; at < text.length; at += MIN_SPELLED) {
    if (!isRow(text, at) && !isRow(text, at + 1)) continue;
    let start = at;
    while (start > 0 && at - start < MAX_SPELLED && (isSingle(text, start - 1) || !isLetter(text, start - 1)))
      start -= 1;
    let end = at;
    while (end < text.length && end - at < MAX_SPELLED && (isSingle(text, end) || !isLetter(text, end))) end += 1;
    const letters = foldWord(text.slice(start, end));
    if (letters.length >= MIN_SPELLED) spelled += letters;
    at = end;
  }
  return spelled.slice(0, MAX_SPELLED);
}

const isLetter = (text: string, at: number): boolean => (FOLDED[text.charCodeAt(at)] ?? 0) > OTHER_LETTER;
const isSingle = (text: string, at: number): boolean =>
  isLetter(text, at) && !isLetter(text, at - 1) && !isLetter(text, at + 1);

/** A single letter, and another one next to it. */
const isRow = (text: string, at: number): boolean =>
  isSingle(text, at) && (isSingle(text, at + 2) || isSingle(text, at - 2));

/** The invisible copies of ASCII, and other characters without width. */
export function invisibles(text: string): { tags: number; others: number } {
  let tags = 0;
  let others = 0;
  if (!UNSEEN.test(text)) return { tags, others };
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === TAG_HIGH) tags += 1;
    else if (
      code >= 0x200b &&
      FOLDED[code] === INVISIBLE &&
      (code <= 0x200f || (code >= 0x2060 && code <= 0x2064) || code === 0xfeff)
    )
      others += 1;
  }
  return { tags, others };
}

/** Asked first: few texts have any. */
const UNSEEN = /[\u200b-\u200f\u2060-\u2064\ufeff\udb40]/;
