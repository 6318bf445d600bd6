import { ALNUM, HOST, is, isForeignLetter, LOCAL } from "../characters.ts";
import type { Detector, Scan } from "../detector.ts";

/** RFC 5321, 4.5.3.1. */
const MAX_LOCAL = 64;
const MAX_DOMAIN = 255;

const AT = "@";

/** What follows an @ in the names of files and packages, and is no address. */
const FILE_ENDINGS = new Set(["png", "jpg", "jpeg", "gif", "webp", "svg", "avif", "js", "ts", "css", "html", "json"]);

const isLocal = (text: string, at: number): boolean => is(text, at, LOCAL) || isForeignLetter(text.charCodeAt(at));
const isHost = (text: string, at: number): boolean => is(text, at, HOST) || isForeignLetter(text.charCodeAt(at));

function localStart(text: string, end: number): number {
  let start = end;
  const least = Math.max(0, end - MAX_LOCAL);
  while (start > least && isLocal(text, start - 1)) start -= 1;
  return start;
}

/** Addresses as people write them (RFC 5321 without quoted local parts), with letters of other alphabets (RFC 6531). */
export const email: Detector = {
  name: "email",
  detect(scan) {
    const { text } = scan;
    for (let at = text.indexOf(AT); at !== -1; at = text.indexOf(AT, at + 1)) addressAt(scan, at);
    if (!scan.final) scan.undecided(localStart(text, text.length));
  },
};

function addressAt(scan: Scan, at: number): void {
  const { text } = scan;
  let start = localStart(text, at);
  // Punctuation before an address is not its own.
  while (start < at && !is(text, start, ALNUM) && text[start] !== "_" && !isForeignLetter(text.charCodeAt(start)))
    start += 1;
  if (start === at) return;
  if (text[at + 1] === "[") return addressLiteral(scan, start, at + 2);
  let end = at + 1;
  const most = Math.min(text.length, at + 1 + MAX_DOMAIN);
  while (end < most && isHost(text, end)) end += 1;
  if (end === text.length) scan.undecided(start);
  while (end > at + 1 && !is(text, end - 1, ALNUM) && !isForeignLetter(text.charCodeAt(end - 1))) end -= 1;
  // Not lastIndexOf: it would look on through the whole text before.
  let dot = end - 1;
  while (dot > at && text[dot] !== ".") dot -= 1;
  if (dot <= at + 1) return;
  const top = text.slice(dot + 1, end);
  if (
    top.length < 2 ||
    /^\d/.test(top) ||
    text.slice(at + 1, end).includes("..") ||
    FILE_ENDINGS.has(top.toLowerCase())
  )
    return;
  scan.found("EMAIL", start, end);
}

/** user@[192.0.2.1] */
function addressLiteral(scan: Scan, start: number, from: number): void {
  const { text } = scan;
  let end = from;
  while (end < text.length && end - from < 48 && /[0-9A-Fa-f:.IPv]/.test(text.charAt(end))) end += 1;
  if (end === text.length) scan.undecided(start);
  else if (text[end] === "]" && end - from >= 7) scan.found("EMAIL", start, end + 1);
}
