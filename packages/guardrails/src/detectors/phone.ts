import { ALNUM, DIGIT, is } from "../characters.ts";
import type { Detector, Scan, Sight } from "../detector.ts";

/** E.164. */
const MAX_DIGITS = 15;
/** Of any number that is found: a price, a time and a version have less. */
const MIN_DIGITS = 7;

const CONTEXT =
  /(?:\b|_)(?:phones?|tel(?:e?fono|efon|ephone|efoonnummer)?|t[eé]l(?:[eé]phone)?|tlf|mobile?|cell(?:ular|phone|ulare)?|handy(?:nummer)?|rufnummer|mobilnummer|fax|whatsapp|sms|call(?:ed|ing|s)?|dial|ring|text(?:ed)?|reach(?:ed)?|contact|hotline|helpline|m[oó]vil|celular|portable|ph|mob|msisdn|my\s+(?:new\s+|work\s+|home\s+|direct\s+)?(?:number|no\b|nr\b|line))(?:\b|_)|[a-z]Phone|电话|手机|電話|携帯|전화|телефон/i;
const CONTEXT_REACH = 40;

const SEPARATORS = " ().-/\u00a0\u2009\u202f\u2010\u2011\u2013";
const MAX_SEPARATORS = 3;
const MAX_LENGTH = 40;

/** " ext. 123", " x123", "#123" */
const EXTENSION = /^(?:\s?(?:,|;)?\s?(?:x|ext|extension|extn|#)\.?:?\s?)\d{1,6}(?![\dA-Za-z])/i;
const EXTENSION_REACH = 20;

/** Numbers with a country's code, numbers of the North American plan, national numbers with their leading zero, and others where the text says so. */
export const phone: Detector = {
  name: "phone",
  detect(scan, sight) {
    const { digitStarts } = sight;
    for (let group = 0; group < digitStarts.length; group += 1) numberAt(scan, sight, group);
    if (scan.final) return;
    const { text } = scan;
    const last = text.at(-1);
    if (last === "+" || last === "(") scan.undecided(text[text.length - 2] === "+" ? text.length - 2 : text.length - 1);
  },
};

interface Written {
  readonly digits: string;
  /** Lengths of its groups, and where each ends in the text. */
  readonly groups: readonly number[];
  readonly ends: readonly number[];
}

function numberAt(scan: Scan, sight: Sight, first: number): void {
  const { text } = scan;
  const digits = sight.digitStarts[first] as number;
  let start = digits;
  if (text[start - 1] === "(") start -= 1;
  const plus = text[start - 1] === "+";
  if (plus) start -= 1;
  if (is(text, start - 1, ALNUM) || text[start - 1] === "_") return;
  // A point or a dash before it makes it the rest of something longer, which was looked at as a whole.
  if (!plus && start === digits && ".-/:,=".includes(text.charAt(start - 1) || " ") && is(text, start - 2, DIGIT))
    return;
  if (plus && is(text, start - 1, DIGIT)) return;
  // Most numbers stand alone and are short: a year, a count.
  const next = sight.digitStarts[first + 1];
  const own = sight.digitEnds[first] as number;
  if (own - digits < 7 && own < text.length - MAX_SEPARATORS && (next === undefined || next > own + MAX_SEPARATORS))
    return;
  const written = read(scan, sight, first);
  if (written === undefined) return scan.undecided(start);
  if (written.digits.length < MIN_DIGITS) return;
  // 0.12345678: a fraction, of which some texts have thousands.
  if (!plus && start === digits && written.groups[0] === 1 && text[own] === ".") return;
  const near = context(text, start);
  // What follows a number may be another one: the longest run of groups that is a number counts.
  for (let groups = written.groups.length; groups > 0; groups -= 1) {
    const end = written.ends[groups - 1] as number;
    if (is(text, end, ALNUM) && !/^(?:x|ext)/i.test(text.slice(end, end + 3))) continue;
    const alone = groups === 1 && "/=#&?".includes(text.charAt(start - 1) || " ");
    if (!isNumber(written, groups, plus, start < digits, isDashed(text, written), alone ? NEVER : near)) continue;
    const extension = EXTENSION.exec(text.slice(end, end + EXTENSION_REACH));
    if (end + EXTENSION_REACH > text.length && couldExtend(text.slice(end))) scan.undecided(start);
    return scan.found("PHONE", start, end + (extension?.[0].length ?? 0));
  }
}

/** Whether an extension may follow: a text that ends here is held for it. */
const couldExtend = (rest: string): boolean =>
  /^\s?[,;]?\s?(?:x|e|ex|ext|exte|exten|extens|extensi|extensio|extension|extn|#)?\.?:?\s?\d{0,6}$/i.test(rest);

/** The digits from a group on, with what is between them. Undefined: the window ends in it. */
function read(scan: Scan, { digitStarts, digitEnds }: Sight, first: number): Written | undefined {
  const { text } = scan;
  const start = digitStarts[first] as number;
  const groups: number[] = [];
  const ends: number[] = [];
  let digits = "";
  let end = start;
  for (let group = first; group < digitStarts.length; group += 1) {
    const from = digitStarts[group] as number;
    const to = digitEnds[group] as number;
    if (group > first && !joins(text, end, from)) break;
    if (digits.length + to - from > MAX_DIGITS || to - start > MAX_LENGTH) {
      if (to === text.length && !scan.final) return undefined;
      break;
    }
    digits += text.slice(from, to);
    groups.push(to - from);
    ends.push(to);
    end = to;
  }
  if (!scan.final && joins(text, end, text.length)) return undefined;
  return { digits, groups, ends };
}

function joins(text: string, from: number, to: number): boolean {
  if (to - from > MAX_SEPARATORS) return false;
  for (let at = from; at < to; at += 1) if (!SEPARATORS.includes(text.charAt(at))) return false;
  return true;
}

/** A part of a URL, or of a number of something: no word before it makes it a phone's. */
const NEVER = (): boolean => false;

/** All of it joined by dashes. */
const isDashed = (text: string, { ends }: Written): boolean =>
  ends.slice(0, -1).every((end) => "-\u2010\u2011\u2013".includes(text.charAt(end) || " "));

function isNumber(
  written: Written,
  count: number,
  plus: boolean,
  marked: boolean,
  dashed: boolean,
  near: () => boolean,
): boolean {
  const groups = written.groups.slice(0, count);
  const digits = written.digits.slice(
    0,
    groups.reduce((sum, length) => sum + length, 0),
  );
  const { length } = digits;
  if (plus) return length >= 7 && digits[0] !== "0";
  if (digits.startsWith("00") && length >= 10 && digits[2] !== "0") return true;
  if (isAmerican(digits, groups) && (count > 1 || near())) return true;
  if (isDate(groups, digits)) return false;
  if (digits[0] === "0" && digits[1] !== "0" && length >= 9 && length <= 12) {
    // Numbers of things have no leading zero, or several.
    if (count >= 2 || near()) return true;
    if (near !== NEVER && (length === 10 || length === 11)) return true;
  }
  // 123-456-7890: nobody's, but written as one.
  if ((marked || dashed) && /^(?:1-)?3-3-4$/.test(groups.join("-"))) return true;
  if (marked && length >= 8 && length <= 12 && count >= 2) return true;
  return length >= 7 && length <= 13 && near();
}

/** The North American Numbering Plan: area and exchange begin with 2 to 9. */
function isAmerican(digits: string, groups: readonly number[]): boolean {
  const international = digits.startsWith("001") ? 3 : digits[0] === "1" ? 1 : 0;
  const national = digits.slice(international);
  if (national.length !== 10 || !/^[2-9]\d\d[2-9]/.test(national)) return false;
  const shape = groups.join("-");
  return /^(?:(?:001|1|00-1)-)?(?:3-3-4|10|3-7|6-4)$|^(?:1|001)?(?:13|11)$/.test(shape);
}

/** 2026-11-21, 21.11.2026, 11/21/2026. */
const isDate = (groups: readonly number[], digits: string): boolean =>
  groups.length === 3 &&
  digits.length === 8 &&
  (groups[0] === 4 || groups[2] === 4) &&
  /^(?:(?:19|20)|\d{4}(?:19|20))/.test(digits);

/** Looked for once, and only where it matters. */
function context(text: string, start: number): () => boolean {
  let found: boolean | undefined;
  return () => (found ??= CONTEXT.test(text.slice(Math.max(0, start - CONTEXT_REACH), start)));
}
