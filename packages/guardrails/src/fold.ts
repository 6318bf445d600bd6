/**
 * One letter for all that look like it: capitals, accents, full width, Cyrillic and Greek look-alikes, digits written for letters
 * (1gn0re). For comparing words, never for showing them.
 */

/** What separates words. */
export const SEPARATOR = 0;
/** What is not seen: zero-width characters, soft hyphens, combining marks. */
export const INVISIBLE = 1;
/** A letter of a script without look-alikes. */
export const OTHER_LETTER = 2;

// i, l and 1 are one letter: each is written for the others.
const LEET = { "0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", l: "i" } as const;

const LOOK_ALIKES: Readonly<Record<string, string>> = {
  a: "аαɑ",
  b: "ƅЬв",
  c: "сϲⅽ",
  d: "ԁⅾ",
  e: "еεєҽ",
  g: "ɡ",
  h: "һнհ",
  i: "іιıɩӏ",
  j: "јϳ",
  k: "кκ",
  l: "ⅼ",
  m: "мⅿ",
  n: "пոη",
  o: "оοօσ",
  p: "рρ",
  q: "ԛզ",
  r: "гꞅ",
  s: "ѕꜱ",
  t: "тτ",
  u: "υսц",
  v: "νѵⅴ",
  w: "ԝѡω",
  x: "хχⅹ",
  y: "уγү",
  z: "ᴢ",
};

function table(): Uint8Array {
  const folded = new Uint8Array(65_536);
  for (let code = 0; code < 65_536; code += 1) folded[code] = classOf(code);
  for (const [letter, alikes] of Object.entries(LOOK_ALIKES)) {
    for (const alike of alikes) {
      folded[alike.charCodeAt(0)] = letter.charCodeAt(0);
      const capital = alike.toUpperCase();
      if (capital.length === 1) folded[capital.charCodeAt(0)] = letter.charCodeAt(0);
    }
  }
  // Capitals that look like another letter than their small ones do.
  for (const pair of ["Вb", "Нh", "Рp", "Сc", "Хx", "Уy", "Ρp", "Ηh", "Νn", "Χx", "Υy", "Ζz"])
    folded[pair.charCodeAt(0)] = pair.charCodeAt(1);
  for (const [written, letter] of Object.entries(LEET)) {
    for (let code = 0; code < 65_536; code += 1)
      if (folded[code] === written.charCodeAt(0)) folded[code] = letter.charCodeAt(0);
  }
  return folded;
}

function classOf(code: number): number {
  if (code < 128) {
    const character = String.fromCharCode(code);
    return /[A-Za-z0-9]/.test(character) ? character.toLowerCase().charCodeAt(0) : SEPARATOR;
  }
  if (code >= 0xd800 && code < 0xe000) return SEPARATOR;
  const character = String.fromCharCode(code);
  if (/[\p{Mn}\p{Me}\p{Cf}\u115f\u1160\u3164\uffa0]/u.test(character)) return INVISIBLE;
  const plain = character.normalize("NFKD").replace(/\p{Mn}/gu, "");
  const first = plain.toLowerCase().charCodeAt(0);
  if (plain.length === 1 && first < 128 && /[a-z0-9]/.test(String.fromCharCode(first))) return first;
  return /[\p{L}\p{N}]/u.test(character) ? OTHER_LETTER : SEPARATOR;
}

/** By UTF-16 unit: one of the above, or the code of the small ASCII letter. */
export const FOLDED: Uint8Array = table();

/** U+1D400 to U+1D7FF: letters and digits for mathematics, which models read as plain ones. */
export const MATH_HIGH = 0xd835;
/** U+E0000 to U+E007F: an invisible copy of ASCII, which models read and people do not see. */
export const TAG_HIGH = 0xdb40;

/** The letter of a low surrogate after MATH_HIGH or TAG_HIGH. */
export function foldedLow(high: number, low: number): number {
  const offset = low - 0xdc00;
  if (high === TAG_HIGH) return offset < 128 ? (FOLDED[offset] as number) : INVISIBLE;
  if (offset < 0 || offset >= 0x400) return SEPARATOR;
  if (offset >= 0x3ce) return FOLDED[48 + ((offset - 0x3ce) % 10)] as number;
  return FOLDED[97 + (offset % 26)] as number;
}

/** A word as it is compared. */
export function foldWord(word: string): string {
  let folded = "";
  for (let at = 0; at < word.length; at += 1) {
    const code = word.charCodeAt(at);
    let letter = FOLDED[code] as number;
    if ((code === MATH_HIGH || code === TAG_HIGH) && at + 1 < word.length)
      letter = foldedLow(code, word.charCodeAt((at += 1)));
    if (letter === OTHER_LETTER) folded += String.fromCharCode(code).toLowerCase();
    else if (letter > OTHER_LETTER) folded += String.fromCharCode(letter);
  }
  return folded;
}

/** The words of a phrase, folded. */
export function foldWords(phrase: string): string[] {
  return phrase
    .split(/[^\p{L}\p{N}\p{M}]+/u)
    .map(foldWord)
    .filter((word) => word !== "");
}
