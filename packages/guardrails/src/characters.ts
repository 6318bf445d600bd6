/** Classes of characters as bits of a table, so that a scanner asks once per character. */
export const DIGIT = 1;
export const LETTER = 2;
export const HEX = 4;
/** Of base64url and of most keys: letters, digits, `_` and `-`. */
export const TOKEN = 8;
/** Of base64: letters, digits, `+`, `/` and `=`. */
export const BASE64 = 16;
/** Of the part of an e-mail address before the @. */
export const LOCAL = 32;
/** Of a host's name. */
export const HOST = 64;
export const SPACE = 128;
export const ALNUM = DIGIT | LETTER;

const CLASSES = new Uint8Array(128);
for (let code = 0; code < 128; code += 1) {
  const character = String.fromCharCode(code);
  let bits = 0;
  if (/[0-9]/.test(character)) bits |= DIGIT;
  if (/[A-Za-z]/.test(character)) bits |= LETTER;
  if (/[0-9A-Fa-f]/.test(character)) bits |= HEX;
  if (/[\w-]/.test(character)) bits |= TOKEN;
  if (/[0-9A-Za-z+/=]/.test(character)) bits |= BASE64;
  if (/[\w.%+'&-]/.test(character)) bits |= LOCAL;
  if (/[0-9A-Za-z.-]/.test(character)) bits |= HOST;
  if (/\s/.test(character)) bits |= SPACE;
  CLASSES[code] = bits;
}

/** Whether the unit at `at` is of one of the classes; false beyond the text's ends. */
export function is(text: string, at: number, classes: number): boolean {
  const code = text.charCodeAt(at);
  return code < 128 && ((CLASSES[code] as number) & classes) !== 0;
}

/** The end of the run of such characters that begins at `at`, at most `limit`. */
export function runEnd(text: string, at: number, classes: number, limit: number): number {
  const end = Math.min(limit, text.length);
  while (at < end && is(text, at, classes)) at += 1;
  return at;
}

/** The start of the run of such characters that ends at `at`, at least `limit`. */
export function runStart(text: string, at: number, classes: number, limit: number): number {
  const start = Math.max(limit, 0);
  while (at > start && is(text, at - 1, classes)) at -= 1;
  return at;
}

/** Letters of other alphabets with capitals (Latin, Greek, Cyrillic): part of a name or a host, unlike ideographs around one. */
export const isForeignLetter = (code: number): boolean =>
  (code >= 0xc0 && code <= 0x24f && code !== 0xd7 && code !== 0xf7) || (code >= 0x370 && code <= 0x52f);

/** Shannon entropy in bits per character. */
export function entropy(text: string): number {
  const counts = new Map<number, number>();
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
