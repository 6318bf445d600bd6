import { BASE64, is, SPACE } from "../characters.ts";
import type { Scan } from "../detector.ts";

const BEGIN = "-----BEGIN ";
const LONGEST_HEAD = 80;
/** An RSA key of 16,384 bits has 12,800 characters. */
const MAX_PEM = 16_384;
/** Less is a text about keys. */
const MIN_BODY = 40;

/** Private keys in PEM (RFC 7468), OpenSSH's and PGP's armour; their line ends may be written `\n`, and their end may be missing. */
export function privateKeys(scan: Scan): void {
  const { text } = scan;
  for (let start = text.indexOf(BEGIN); start !== -1; start = text.indexOf(BEGIN, start + BEGIN.length))
    pemAt(scan, start);
  if (scan.final) return;
  for (let length = Math.min(BEGIN.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(BEGIN.slice(0, length))) return scan.undecided(text.length - length);
  }
}

function pemAt(scan: Scan, start: number): void {
  const { text } = scan;
  const headEnd = text.indexOf("-----", start + BEGIN.length);
  if (headEnd === -1 || headEnd - start > LONGEST_HEAD) {
    if (text.length - start <= LONGEST_HEAD + 5 && !/[\r\n]/.test(text.slice(start))) scan.undecided(start);
    return;
  }
  const kind = text.slice(start + BEGIN.length, headEnd);
  if (!/^[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?$/.test(kind)) return;
  const from = headEnd + 5;
  const limit = Math.min(text.length, start + MAX_PEM);
  let at = from;
  let body = 0;
  while (at < limit) {
    if (is(text, at, BASE64)) body += 1;
    else if (text[at] === "\\" && (text[at + 1] === "n" || text[at + 1] === "r")) at += 1;
    else if (!is(text, at, SPACE) && !isHeader(text, at)) break;
    at += 1;
  }
  const tail = `-----END ${kind}-----`;
  if (!scan.final && at >= text.length - tail.length && (at >= text.length - 1 || tail.startsWith(text.slice(at))))
    scan.undecided(start);
  if (body < MIN_BODY) return;
  if (text.startsWith(tail, at)) at += tail.length;
  else while (at > from && is(text, at - 1, SPACE)) at -= 1;
  scan.found("PRIVATE_KEY", start, at);
}

/** Of "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,…", "Version: GnuPG v2 (…)". */
const isHeader = (text: string, at: number): boolean =>
  ":,.()".includes(text.charAt(at)) || (text[at] === "-" && text[at + 1] !== "-");
