import { ALNUM, is } from "../characters.ts";
import type { Detector, Scan, Sight } from "../detector.ts";

const MIN_DIGITS = 12;
const MAX_DIGITS = 19;

/** Between the groups of a number: blank, no-break and thin space, dashes, dot. */
const isGap = (text: string, at: number): boolean =>
  " -.\u00a0\u2009\u202f\u2010\u2011\u2013_".includes(text.charAt(at));

/** Issuers' ranges (first six digits) and the lengths they use: ISO/IEC 7812 and the networks' own rules. */
const ISSUERS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [400000, 499999, [13, 16, 19]], // Visa
  [510000, 559999, [16]], // Mastercard
  [222100, 272099, [16]],
  [340000, 349999, [15]], // American Express
  [370000, 379999, [15]],
  [300000, 305999, [14, 16, 17, 18, 19]], // Diners Club
  [309500, 309599, [14, 16, 17, 18, 19]],
  [360000, 369999, [14, 16, 17, 18, 19]],
  [380000, 399999, [14, 16, 17, 18, 19]],
  [352800, 358999, [16, 17, 18, 19]], // JCB
  [350000, 359999, [16]], // not given, but what generators of test data make
  [60400, 60499, [12, 13, 14, 15, 16, 17, 18, 19]],
  [601100, 601199, [16, 17, 18, 19]], // Discover
  [622126, 622925, [16, 17, 18, 19]],
  [644000, 659999, [16, 17, 18, 19]],
  [620000, 629999, [16, 17, 18, 19]], // UnionPay
  [810000, 817199, [16, 17, 18, 19]],
  [220000, 220499, [16, 17, 18, 19]], // Mir
  [500000, 509999, [12, 13, 14, 15, 16, 17, 18, 19]], // Maestro, Elo, RuPay
  [560000, 589999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [600000, 600999, [16]],
  [630000, 639999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [670000, 679999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [979200, 979299, [16]], // Troy
  [606282, 606282, [16]], // Hipercard
  [180000, 180099, [15]], // JCB, 15 digits
  [213100, 213199, [15]],
];

/** ISO/IEC 7812-1, annex B. */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48;
    if (at % 2 === 0) sum += digit;
    else sum += digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

function isCard(digits: string): boolean {
  const issuer = Number(digits.slice(0, 6));
  return (
    ISSUERS.some(([from, to, lengths]) => issuer >= from && issuer <= to && lengths.includes(digits.length)) &&
    luhn(digits)
  );
}

/** Payment cards: digits of an issuer's range and length with a right check digit, in one piece or in groups. */
export const card: Detector = {
  name: "card",
  detect(scan, sight) {
    for (let group = 0; group < sight.digitStarts.length; group += 1) cardAt(scan, sight, group);
  },
};

function cardAt(scan: Scan, { digitStarts, digitEnds }: Sight, first: number): void {
  const { text } = scan;
  const start = digitStarts[first] as number;
  const own = digitEnds[first] as number;
  const next = digitStarts[first + 1];
  // Most numbers stand alone and are short: a year, a count.
  if (own - start < MIN_DIGITS && own < text.length - 2 && (next === undefined || next > own + 2)) return;
  // A group starts where no digit precedes it; letters make it part of a name, a point of a fraction.
  if (is(text, start - 1, ALNUM) || text[start - 1] === "_") return;
  if (text[start - 1] === "." && is(text, start - 2, ALNUM)) return;
  let digits = "";
  let best = -1;
  for (let group = first; group < digitStarts.length; group += 1) {
    const from = digitStarts[group] as number;
    const end = digitEnds[group] as number;
    if (group > first) {
      const last = digitEnds[group - 1] as number;
      const gap = from - last;
      if (gap > 2 || !isGap(text, last) || (gap === 2 && !isGap(text, last + 1))) break;
    }
    if (digits.length + end - from > MAX_DIGITS) break;
    digits += text.slice(from, end);
    if (end === text.length && !scan.final) {
      scan.undecided(start);
      break;
    }
    if (digits.length >= MIN_DIGITS && !is(text, end, ALNUM) && isCard(digits)) best = end;
    // Only the last group of a number is shorter than three.
    if (end - from < 3) break;
    const tail = text.length - end;
    if (tail <= 2 && isGap(text, end) && (tail < 2 || isGap(text, end + 1))) scan.undecided(start);
  }
  if (best !== -1) scan.found("CARD", start, best);
}
