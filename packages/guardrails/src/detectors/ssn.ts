import { ALNUM, is } from "../characters.ts";
import type { Detector, Scan, Sight } from "../detector.ts";

/** What a number of nine digits without its dashes needs to stand near. */
const CONTEXT =
  /\bssns?(?:\b|_)|_ssns?\b|social[\s_-]*sec|\bsoc\.?\s*sec|\bss\s?#|\bss\s+n(?:o|um)|\bsocial(?:\s+(?:is|num|no\b|#)|\s*[:#])|\bitin\b|tax(?:payer)?\s+id|\btin\b/i;
const CONTEXT_REACH = 64;
/** Behind it: "123456789 is my SSN". */
const CONTEXT_BEHIND = 32;

const SEPARATORS = "-. \u2010\u2011\u2013\u00a0";

/** Numbers the Social Security Administration gives (areas 000, 666 and 900 and above, groups 00 and serials 0000 never were), and tax numbers (ITIN: 9xx). */
function isGiven(area: string, group: string, serial: string): boolean {
  if (group === "00" || serial === "0000" || area === "000" || area === "666") return false;
  const number = Number(group);
  return area < "900" || (number >= 50 && number <= 99 && number !== 89 && number !== 93);
}

/** US social security numbers: 123-45-6789 anywhere, 123456789 where the text says what it is. */
export const ssn: Detector = {
  name: "ssn",
  detect(scan, sight) {
    for (let group = 0; group < sight.digitStarts.length; group += 1) numberAt(scan, sight, group);
  },
};

function numberAt(scan: Scan, { digitStarts, digitEnds }: Sight, first: number): void {
  const { text } = scan;
  const start = digitStarts[first] as number;
  const end = digitEnds[first] as number;
  const length = end - start;
  if ((length !== 3 && length !== 9 && end !== text.length) || length > 9) return;
  const before = text.charAt(start - 1);
  if (is(text, start - 1, ALNUM) || (SEPARATORS.includes(before) && before !== " " && isDigit(text, start - 2))) return;
  if (length === 9) {
    if (end === text.length && !scan.final) return scan.undecided(start);
    const number = text.slice(start, end);
    if (is(text, end, ALNUM) || !isGiven(number.slice(0, 3), number.slice(3, 5), number.slice(5))) return;
    if (CONTEXT.test(text.slice(Math.max(0, start - CONTEXT_REACH), start))) return scan.found("SSN", start, end);
    if (end + CONTEXT_BEHIND > text.length) scan.undecided(start);
    if (CONTEXT.test(text.slice(end, end + CONTEXT_BEHIND))) scan.found("SSN", start, end);
    return;
  }
  if (end >= text.length - 1) return scan.undecided(start);
  const separator = text.charAt(end);
  if (length !== 3 || !SEPARATORS.includes(separator)) return;
  // Of what is written behind: two digits, the same separator, four digits, and then no more of them.
  const most = Math.min(text.length, end + 9);
  for (let at = end + 1; at < most; at += 1) {
    const offset = at - end;
    const fits = offset === 3 ? text[at] === separator : offset === 8 ? !is(text, at, ALNUM) : isDigit(text, at);
    if (!fits) return;
  }
  if (most === text.length && !scan.final) return scan.undecided(start);
  if (text.length < end + 8) return;
  if (text[end + 8] === separator && separator !== " " && isDigit(text, end + 9)) return;
  if (!isGiven(text.slice(start, end), text.slice(end + 1, end + 3), text.slice(end + 4, end + 8))) return;
  scan.found("SSN", start, end + 8);
}

const isDigit = (text: string, at: number): boolean => text.charCodeAt(at) >= 48 && text.charCodeAt(at) <= 57;
