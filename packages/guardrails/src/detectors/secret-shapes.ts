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

/** Where a webhook's URL is all that somebody needs who wants to write there: its host, and what is secret of its path. */
const WEBHOOKS: readonly (readonly [host: string, path: RegExp])[] = [
  ["hooks.slack.com/", /^(?:services|workflows|triggers)\/[\w/+-]{20,256}/],
  ["discord.com/api/", /^(?:v\d+\/)?webhooks\/\d{15,22}\/[\w-]{40,100}/],
  ["discordapp.com/api/", /^(?:v\d+\/)?webhooks\/\d{15,22}\/[\w-]{40,100}/],
  ["webhook.office.com/", /^webhookb2\/[\w@-]{36,120}\/IncomingWebhook\/[\w-]{20,64}\/[\w-]{20,64}/],
  ["hooks.zapier.com/", /^hooks\/catch\/\d{4,12}\/\w{4,20}/],
];
/** Longer than the longest host and path of them. */
const LONGEST_WEBHOOK = 420;

export function webhooks(scan: Scan): void {
  const { text } = scan;
  // In all of them; looked for once.
  if (!text.includes("hook")) return;
  for (const [host, path] of WEBHOOKS) {
    for (let at = text.indexOf(host); at !== -1; at = text.indexOf(host, at + host.length)) {
      const from = at + host.length;
      const rest = text.slice(from, from + LONGEST_WEBHOOK);
      // What may still grow is held from the path on.
      if (from + rest.length === text.length && /^[\w/@+-]*$/.test(rest)) scan.undecided(at);
      const match = path.exec(rest);
      if (match !== null) scan.found("SECRET", at, from + match[0].length);
    }
  }
}

/**
 * Keys without a prefix of their own that something in them tells: Azure's client secrets (three characters, a digit, Q~), Terraform's tokens
 * (.atlasv1.), Airtable's and Mailchimp's.
 */
const INFIXES: readonly (readonly [infix: string, before: number, whole: RegExp])[] = [
  ["Q~", 4, /^[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~-])/],
  [".atlasv1.", 14, /^[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}(?![\w=-])/],
  ["-us", 32, /^[0-9a-f]{32}-us\d{1,2}(?!\w)/],
];
const LONGEST_INFIX = 100;

export function infixes(scan: Scan): void {
  const { text } = scan;
  for (const [infix, before, whole] of INFIXES) {
    for (let at = text.indexOf(infix); at !== -1; at = text.indexOf(infix, at + infix.length)) {
      const start = at - before;
      if (start < 0 || is(text, start - 1, ALNUM)) continue;
      if (start + LONGEST_INFIX > text.length && !/[^\w~.=-]/.test(text.slice(start))) scan.undecided(start);
      const match = whole.exec(text.slice(start, start + LONGEST_INFIX + 1));
      if (match !== null) scan.found("SECRET", start, start + match[0].length);
    }
  }
  if (scan.final) return;
  // Their heads are any token; a webhook's host and the start of its path are held by the same.
  let start = text.length;
  while (
    start > 0 &&
    text.length - start < LONGEST_HEAD &&
    (is(text, start - 1, TOKEN) || "~.=/".includes(text.charAt(start - 1)))
  )
    start -= 1;
  scan.undecided(start);
}

/** Of what stands before an infix, and the infix. */
const LONGEST_HEAD = 40;

/** Discord's bot tokens: an id in base64, a time, a signature, with dots between. */
export function dottedTokens(scan: Scan): void {
  const { text } = scan;
  for (let dot = text.indexOf("."); dot !== -1; dot = text.indexOf(".", dot + 1)) {
    const start = runStart(text, dot, TOKEN, dot - 29);
    if (dot - start < 23 || dot - start > 28 || !"MNO".includes(text.charAt(start)) || is(text, start - 1, ALNUM))
      continue;
    const rest = text.slice(dot + 1, dot + 60);
    if (dot + 60 > text.length && /^[\w.-]*$/.test(rest)) scan.undecided(start);
    const match = /^[\w-]{6}\.[\w-]{27,40}(?![\w-])/.exec(rest);
    if (match !== null) scan.found("SECRET", start, dot + 1 + match[0].length);
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
