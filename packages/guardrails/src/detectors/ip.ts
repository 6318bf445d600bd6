import { ALNUM, HEX, is } from "../characters.ts";
import type { Detector, Scan, Sight } from "../detector.ts";

const IPV6_LONGEST = 45;
const COLON = ":";

/** IPv4 as four decimal numbers, IPv6 as of RFC 4291 with or without a zone; with a port or a prefix length behind them. */
export const ip: Detector = {
  name: "ip",
  detect(scan, sight) {
    for (let group = 0; group < sight.digitStarts.length; group += 1) ipv4At(scan, sight, group);
    const { text } = scan;
    let after = 0;
    for (let at = text.indexOf(COLON); at !== -1; at = text.indexOf(COLON, Math.max(at + 1, after)))
      after = ipv6Around(scan, at);
    if (!scan.final) {
      const start = addressStart(text, text.length, 0);
      if (text.length - start <= IPV6_LONGEST && !is(text, start - 1, ALNUM)) scan.undecided(start);
    }
  },
};

function ipv4At(scan: Scan, { digitStarts, digitEnds }: Sight, first: number): void {
  const { text } = scan;
  const start = digitStarts[first] as number;
  if (is(text, start - 1, ALNUM) || (text[start - 1] === "." && is(text, start - 2, ALNUM))) return;
  for (let part = 0; part < 4; part += 1) {
    const from = digitStarts[first + part];
    const end = digitEnds[first + part];
    if (from === undefined || end === undefined) return;
    if (part > 0 && from !== (digitEnds[first + part - 1] as number) + 1) return;
    if (end - from > 3 || Number(text.slice(from, end)) > 255 || (end - from > 1 && text[from] === "0")) return;
    if (end >= text.length - 1 && !scan.final) return scan.undecided(start);
    if (part < 3 ? text[end] !== "." : is(text, end, ALNUM) || (text[end] === "." && is(text, end + 1, ALNUM))) return;
    if (part === 3 && !VERSION.test(text.slice(Math.max(0, start - VERSION_REACH), start)))
      scan.found("IP", start, end);
  }
}

/** What makes four numbers the version of something. */
const VERSION =
  /(?:\b(?:version|ver|release|build|firmware|revision|driver)s?\b[\s.:=v"']{0,4}|\b(?:Chrome|Chromium|HeadlessChrome|CriOS|Edge?|EdgA|OPR|Opera|Safari|Firefox|Version|YaBrowser|SamsungBrowser|Electron)\/)$/i;
const VERSION_REACH = 20;

const isPart = (text: string, at: number): boolean => is(text, at, HEX) || text[at] === ":" || text[at] === ".";

function addressStart(text: string, at: number, least: number): number {
  while (at > least && isPart(text, at - 1)) at -= 1;
  return at;
}

/** @returns where to look on: the run of characters that may belong to the address was looked at as a whole */
function ipv6Around(scan: Scan, colon: number): number {
  const { text } = scan;
  let start = addressStart(text, colon, Math.max(0, colon - IPV6_LONGEST));
  let end = colon;
  while (end < text.length && end - start <= IPV6_LONGEST && isPart(text, end)) end += 1;
  if (end === text.length && end - start <= IPV6_LONGEST) scan.undecided(start);
  // ip:2001:db8::1, IPv6:2001:db8::1: what stands before the first colon is no part of it.
  if (is(text, start - 1, ALNUM) || (text[start] === ":" && text[start + 1] !== ":")) start = colon + 1;
  if (end - start > IPV6_LONGEST) return end;
  let last = end;
  while (last > start && (text[last - 1] === "." || (text[last - 1] === ":" && text[last - 2] !== ":"))) last -= 1;
  if (is(text, end, ALNUM) || text[end] === "_" || last <= colon) return end;
  // One colon makes no address, and is what most texts have.
  if (text.lastIndexOf(":", last - 1) === colon) return end;
  if (isIpv6(text.slice(start, last))) scan.found("IP", start, last);
  return end;
}

/** RFC 4291, 2.2. Without a digit and with few letters it is rather C++ (a::b) than an address. */
export function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const all = groups.flat();
  let count = 0;
  for (const [index, group] of all.entries()) {
    if (index === all.length - 1 && group.includes(".")) {
      const parts = group.split(".");
      if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return false;
      count += 2;
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) count += 1;
    else return false;
  }
  if (halves.length === 1 ? count !== 8 : count > 7) return false;
  return halves.length === 1 || /\d/.test(text) || text.length >= 9;
}
