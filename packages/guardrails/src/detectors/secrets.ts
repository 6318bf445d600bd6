import { ALNUM, DIGIT, entropy, HEX, is, LETTER, TOKEN } from "../characters.ts";
import type { Detector, Scan, Sight } from "../detector.ts";
import { KEY_FORMATS, type KeyFormat } from "./secret-formats.ts";
import { assignments } from "./secret-context.ts";
import { privateKeys } from "./secret-pem.ts";
import { botTokens, dottedTokens, infixes, userInfo, webhooks } from "./secret-shapes.ts";

/** No key is longer; of a JWT this is as much as a proxy lets through in a header. */
const MAX_TOKEN = 8_192;

export const KEY_PREFIXES: readonly string[] = KEY_FORMATS.map((format) => format.prefix);
const BY_PAIR = new Map<string, KeyFormat[]>();
// The longest prefix first: sk-ant- before sk-.
for (const format of [...KEY_FORMATS].sort((a, b) => b.prefix.length - a.prefix.length)) {
  const pair = format.prefix.slice(0, 2);
  BY_PAIR.set(pair, [...(BY_PAIR.get(pair) ?? []), format]);
}
const STARTS = new Set(KEY_PREFIXES.map((prefix) => prefix.charAt(0)));

/**
 * Credentials: keys whose format tells them, private keys, JSON web tokens, passwords in URLs, and what is assigned to a name that says
 * it is one and looks random enough.
 */
export const secrets: Detector = {
  name: "secrets",
  detect(scan, sight) {
    keys(scan, sight);
    privateKeys(scan);
    botTokens(scan, sight);
    userInfo(scan);
    webhooks(scan);
    infixes(scan);
    dottedTokens(scan);
    assignments(scan);
  },
};

/** The end of the run of a kind of characters that was looked at last: keys that begin within it end with it. */
interface Run {
  body: KeyFormat["body"];
  start: number;
  /** Without the punctuation of a sentence around it. */
  end: number;
  rawEnd: number;
}

function keys(scan: Scan, { keyStarts }: Sight): void {
  const { text } = scan;
  const runs = new Map<KeyFormat["body"], Run>();
  for (const start of keyStarts) {
    for (const format of BY_PAIR.get(text.slice(start, start + 2)) ?? []) {
      if (!text.startsWith(format.prefix, start)) {
        if (text.length - start < format.prefix.length && format.prefix.startsWith(text.slice(start)))
          scan.undecided(start);
        continue;
      }
      if (keyAt(scan, start, format, runs)) break;
    }
  }
  // One character is not looked up yet.
  const last = text.length - 1;
  if (!scan.final && last >= 0 && STARTS.has(text.charAt(last)) && !is(text, last - 1, ALNUM)) scan.undecided(last);
}

function keyAt(scan: Scan, start: number, format: KeyFormat, runs: Map<KeyFormat["body"], Run>): boolean {
  const { text } = scan;
  const from = start + format.prefix.length;
  let run = runs.get(format.body);
  if (run === undefined || from >= run.rawEnd) runs.set(format.body, (run = runFrom(text, from, format.body)));
  const { end } = run;
  if (run.rawEnd === text.length) scan.undecided(start);
  const length = end - from;
  if (length < format.least || (format.most !== undefined && length > format.most)) return false;
  const head = text.slice(from, Math.min(end, from + LOOKED_AT));
  if (format.random === true && !looksRandom(head)) return false;
  if (format.prefix === "eyJ" && !head.includes(".")) return false;
  scan.found("SECRET", start, end);
  return true;
}

/** Of a key, for whether it is one. */
const LOOKED_AT = 1_024;

function runFrom(text: string, start: number, body: KeyFormat["body"]): Run {
  const limit = Math.min(text.length, start + MAX_TOKEN);
  let end = start;
  while (end < limit && isBody(text, end, body)) end += 1;
  const rawEnd = end;
  while (end > start && (text[end - 1] === "." || text[end - 1] === "-")) end -= 1;
  return { body, start, end, rawEnd };
}

function isBody(text: string, at: number, body: KeyFormat["body"]): boolean {
  if (typeof body === "number") return is(text, at, body);
  if (body === "hex") return is(text, at, HEX) || text[at] === "-";
  if (body === "alnum") return is(text, at, ALNUM);
  if (body === "upper") return is(text, at, DIGIT) || (is(text, at, LETTER) && text.charCodeAt(at) < 91);
  return is(text, at, TOKEN) || text[at] === "." || text[at] === "=";
}

/** Not words joined by dashes: digits among letters, and many different characters. */
function looksRandom(token: string): boolean {
  const digits = token.replace(/\D/g, "").length;
  return digits >= 2 && digits < token.length && entropy(token) >= 3.2 && !/(.)\1{5}/.test(token);
}
