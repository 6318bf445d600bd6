/**
 * A text as it is read, where it is written otherwise than it is read: digits and letters in full width, digits of other scripts, characters
 * without width, and escapes (\u0040, %40, &#64;). Detectors look at both.
 */

/** A text, and where in the raw one each of its units lies. */
export interface Plain {
  readonly text: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

type Range = readonly [from: number, to: number];

/** Not seen: soft hyphen, joiners, marks of direction, variation selectors, fillers. */
const UNSEEN: readonly Range[] = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0x20e3, 0x20e3],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff9, 0xfffb],
];
/** In full width: digits, letters and what joins them; not the punctuation that Chinese and Japanese sentences have. */
const WIDE: readonly Range[] = [
  [0xff0b, 0xff0b],
  [0xff0d, 0xff0e],
  [0xff10, 0xff1a],
  [0xff1d, 0xff1d],
  [0xff20, 0xff3a],
  [0xff3f, 0xff3f],
  [0xff41, 0xff5a],
];
/** The zeros of Unicode's decimal digits (Nd) in the BMP, but for ASCII's and the full-width ones; nine others follow each. */
const ZEROS = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
  0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
  0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
];
/** Circled, raised and lowered digits: one to nine, and the zeros apart. */
const ONES = [0x2460, 0x2776, 0x2780, 0x278a, 0x24f5];
const SINGLE: ReadonlyMap<number, string> = new Map([
  [0x24ea, "0"],
  [0x24ff, "0"],
  [0xb9, "1"],
  [0xb2, "2"],
  [0xb3, "3"],
  [0x2070, "0"],
  ...[4, 5, 6, 7, 8, 9].map((digit) => [0x2070 + digit, String(digit)] as const),
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((digit) => [0x2080 + digit, String(digit)] as const),
  // Dashes and blanks between groups of digits that detectors do not know by themselves.
  [0x2012, "-"],
  [0x2015, "-"],
  [0x2212, "-"],
  [0x2003, " "],
  [0x2002, " "],
  [0x2007, " "],
  [0x2008, " "],
  [0x200a, " "],
  [0x205f, " "],
]);

const SAME = 0xffff;
const NOTHING = 0xfffe;
/** By unit: what it is read as; SAME: as itself; NOTHING: it is not seen. */
const READ = new Uint16Array(65_536).fill(SAME);
for (const [from, to] of UNSEEN) for (let code = from; code <= to; code += 1) READ[code] = NOTHING;
for (const [from, to] of WIDE) for (let code = from; code <= to; code += 1) READ[code] = code - 0xfee0;
for (const zero of ZEROS) for (let digit = 0; digit < 10; digit += 1) READ[zero + digit] = 48 + digit;
for (const one of ONES) for (let digit = 1; digit < 10; digit += 1) READ[one + digit - 1] = 48 + digit;
for (const [code, read] of SINGLE) READ[code] = read.charCodeAt(0);

const hex = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`;
const range = ([from, to]: Range): string => `${hex(from)}-${hex(to)}`;
const ESCAPE = "\\\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})|%[2-7][0-9a-fA-F]|&#(?:[xX][0-9a-fA-F]{1,5}|[0-9]{1,6});";
/** Mathematical digits, and the invisible copies of ASCII. */
const HIGH = "\\ud835[\\udfce-\\udfff]|\\udb40[\\udc00-\\udfff]";
/** In a class: what is not ASCII and is read otherwise. */
const CLASS = [
  ...WIDE.map(range),
  ...ZEROS.map((zero) => range([zero, zero + 9])),
  ...ONES.map((one) => range([one, one + 8])),
  ...[...SINGLE.keys()].map(hex),
].join("");
const UNSEEN_CLASS = UNSEEN.map(range).join("");
/** Emoji have variation selectors and joiners; nothing that is looked for stands there. Asked behind what it is about: that is rare. */
const OUTSIDE_EMOJI = "(?<![\\ud800-\\udfff\\u2190-\\u2bff\\u3030\\u303d\\u3297\\u3299][^])";
const OTHERWISE = new RegExp(`[${UNSEEN_CLASS}]${OUTSIDE_EMOJI}|[${CLASS}]|${HIGH}|${ESCAPE}`, "g");
/** What none of those begins with is read as it is written: one look at each unit. */
const FOREIGN = new RegExp(`[${UNSEEN_CLASS}${CLASS}\\ud835\\udb40]`);

/**
 * Undefined where it is read as it is written.
 * @param since before it that makes no difference
 */
export function plainOf(raw: string, since = 0): Plain | undefined {
  OTHERWISE.lastIndex = since;
  let match = OTHERWISE.exec(raw);
  if (match === null) return undefined;
  if (since > 0) {
    OTHERWISE.lastIndex = 0;
    match = OTHERWISE.exec(raw);
  }
  const starts = new Int32Array(raw.length);
  const ends = new Int32Array(raw.length);
  const read = new Uint16Array(raw.length);
  let units = 0;
  let at = 0;
  const copy = (to: number): void => {
    for (; at < to; at += 1) {
      read[units] = raw.charCodeAt(at);
      starts[units] = at;
      ends[units] = at + 1;
      units += 1;
    }
  };
  for (; match !== null; match = OTHERWISE.exec(raw)) {
    copy(match.index);
    at = OTHERWISE.lastIndex;
    const code = readAs(match[0]);
    if (code === NOTHING) continue;
    read[units] = code;
    starts[units] = match.index;
    ends[units] = at;
    units += 1;
  }
  copy(raw.length);
  // In one piece: what is put together from many is read several times as slowly.
  return {
    text: UTF16.decode(read.subarray(0, units)),
    starts: starts.subarray(0, units),
    ends: ends.subarray(0, units),
  };
}

/** Little endian, as all machines are that Node runs on. */
const UTF16 = new TextDecoder("utf-16le", { ignoreBOM: true });

/** The unit that it stands for, or NOTHING. */
function readAs(written: string): number {
  const first = written.charCodeAt(0);
  if (first === 0xd835) return 48 + ((written.charCodeAt(1) - 0xdfce) % 10);
  if (first === 0xdb40) {
    const tag = written.charCodeAt(1) - 0xdc00;
    return tag > 31 && tag < 127 ? tag : NOTHING;
  }
  if (written.length === 1) return ofUnit(first);
  if (first === 38) {
    const digits = written.slice(2, -1);
    const code = /^x/i.test(digits) ? Number.parseInt(digits.slice(1), 16) : Number(digits);
    return code > 0xffff ? 32 : ofUnit(code);
  }
  return ofUnit(Number.parseInt(written.slice(first === 37 ? 1 : 2), 16));
}

function ofUnit(code: number): number {
  const read = READ[code] as number;
  return read === SAME ? code : read;
}

/** Cheaply; it may say so where plainOf() then finds nothing. @param ascii it is nothing but ASCII */
export const mayReadOtherwise = (text: string, ascii: boolean): boolean =>
  text.includes("\\") || text.includes("%") || text.includes("&") || (!ascii && FOREIGN.test(text));

const CUT = /(?:\\(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|%[2-7]?|&(?:#(?:x[0-9a-f]{0,5}|\d{0,6})?)?|[\ud835\udb40])$/i;
const LONGEST_CUT = 9;

/** Where an escape begins that the text ends in the middle of; the text's length where there is none. */
export function wholeEnd(text: string): number {
  const from = Math.max(0, text.length - LONGEST_CUT);
  const cut = CUT.exec(text.slice(from));
  return cut === null ? text.length : from + cut.index;
}
