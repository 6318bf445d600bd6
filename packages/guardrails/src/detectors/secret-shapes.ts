import { ALNUM, is, runEnd, runStart, TOKEN } from "../characters.ts";
import type { Scan, Sight } from "../detector.ts";

/** Telegram's bot tokens: an id of 8 to 10 digits, a colon, 35 characters. */
export function botTokens(scan: Scan, { digitStarts, digitEnds }: Sight): void {
  const { text } = scan;
  for (let group = 0; group < digitStarts.length; group += 1) {
    const start = digitStarts[group] as number;
    const end = digitEnds[group] as number;
    if (end - start > 10 || is(text, start - 1, ALNUM)) continue;
    if (end === text.length) scan.undecided(start);
    if (end - start < 8 || text[end] !== ":") continue;
    const last = runEnd(text, end + 1, TOKEN, end + 40);
    if (last === text.length) scan.undecided(start);
    if (last - end - 1 === 35 && !is(text, last, TOKEN)) scan.found("SECRET", start, last);
  }
}

const SCHEME = "://";
/** Less than CONTEXT_LENGTH: the scheme is looked for in what may have been released already. */
const MAX_USER = 100;
const MAX_PASSWORD = 256;

/** https://user:password@host: the password. */
export function userInfo(scan: Scan): void {
  const { text } = scan;
  for (let at = text.indexOf(SCHEME); at !== -1; at = text.indexOf(SCHEME, at + 3)) {
    if (runStart(text, at, ALNUM, at - 20) === at) continue;
    const from = at + 3;
    let colon = from;
    while (colon < from + MAX_USER && isUserInfo(text, colon) && text[colon] !== ":") colon += 1;
    if (text[colon] !== ":") continue;
    const limit = Math.min(text.length, colon + MAX_PASSWORD);
    let end = colon + 1;
    while (end < limit && isUserInfo(text, end)) end += 1;
    if (end === text.length) scan.undecided(colon + 1);
    if (text[end] === "@" && end > colon + 1) scan.found("SECRET", colon + 1, end);
  }
}

const isUserInfo = (text: string, at: number): boolean =>
  at < text.length && !" \t\r\n/?#@\"'<>`\\[]{}".includes(text.charAt(at));
