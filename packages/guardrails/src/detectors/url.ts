import { ALNUM, HOST, is, isForeignLetter, SPACE } from "../characters.ts";
import type { Detector, Scan } from "../detector.ts";
import { FOLDED, OTHER_LETTER } from "../fold.ts";
import { isIpv6 } from "./ip.ts";

export interface UrlPolicy {
  /** Domains, their subdomains with them. Undefined: all that are not denied. */
  readonly allow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
  /** Hosts given as numbers, in any spelling. Default: refused. */
  readonly ipLiterals?: boolean | undefined;
}

const MAX_URL = 2_048;
const MAX_SCHEME = 16;
const WEB = "www.";

/** URLs that the policy refuses: a host that is not allowed or is denied, an address for a name, a name that looks like another, credentials before the host. */
export function urls(policy: UrlPolicy): Detector {
  const allow = policy.allow === undefined ? undefined : new Set(policy.allow.map(plainHost));
  const deny = new Set((policy.deny ?? []).map(plainHost));

  function refused(authority: string): boolean {
    const userEnd = authority.lastIndexOf("@");
    if (userEnd !== -1) return true;
    const host = plainHost(authority.replace(/:\d*$/, ""));
    if (host === "" || covers(deny, host)) return true;
    if (isAddress(host)) return policy.ipLiterals !== true && !(allow?.has(host) ?? false);
    if (looksLikeAnother(host)) return !(allow?.has(host) ?? false);
    return allow !== undefined && !covers(allow, host);
  }

  function urlAt(scan: Scan, start: number, authorityStart: number): void {
    const { text } = scan;
    const limit = Math.min(text.length, start + MAX_URL);
    let end = authorityStart;
    while (end < limit && isUrl(text, end)) end += 1;
    if (end === text.length) scan.undecided(start);
    while (end > authorityStart && ".,;:!?*_'".includes(text.charAt(end - 1))) end -= 1;
    const authority = /^[^/?#\\]*/.exec(text.slice(authorityStart, end))?.[0] ?? "";
    if (authority !== "" && refused(authority)) scan.found("URL", start, end);
  }

  return {
    name: "urls",
    detect(scan) {
      const { text } = scan;
      for (let at = text.indexOf("//"); at !== -1; at = text.indexOf("//", at + 2)) {
        const start = text[at - 1] === ":" ? schemeStart(text, at - 1) : at;
        // `//host` is a link where a link can stand, and a comment elsewhere.
        if (start < at ? start < at - 1 : "([\"'=<".includes(text.charAt(at - 1) || " ")) urlAt(scan, start, at + 2);
      }
      for (let at = indexOfWeb(text, 0); at !== -1; at = indexOfWeb(text, at + 4))
        if (!is(text, at - 1, ALNUM) && !"/.@-".includes(text.charAt(at - 1) || " ")) urlAt(scan, at, at);
      if (deny.size > 0) bareHosts(scan);
      if (!scan.final) undecidedHead(scan, deny.size > 0);
    },
  };

  /** evil.example/path without a scheme: only what is denied by name. */
  function bareHosts(scan: Scan): void {
    const { text } = scan;
    let after = 0;
    for (let dot = text.indexOf("."); dot !== -1; dot = text.indexOf(".", Math.max(dot + 1, after))) {
      let start = dot;
      const least = Math.max(0, dot - 64);
      while (start > least && isHost(text, start - 1)) start -= 1;
      let end = dot;
      const most = Math.min(text.length, dot + 254);
      while (end < most && isHost(text, end)) end += 1;
      after = end;
      if (end === text.length) scan.undecided(start);
      const host = plainHost(text.slice(start, end));
      if (host !== "" && covers(deny, host)) scan.found("URL", start, end);
    }
  }
}

const indexOfWeb = (text: string, from: number): number => {
  const small = text.indexOf(WEB, from);
  const capital = text.indexOf("WWW.", from);
  return small === -1 || (capital !== -1 && capital < small) ? capital : small;
};

const isHost = (text: string, at: number): boolean => is(text, at, HOST) || isForeignLetter(text.charCodeAt(at));
const isUrl = (text: string, at: number): boolean =>
  !is(text, at, SPACE) && !'<>"`)]}|^'.includes(text.charAt(at)) && text.charCodeAt(at) > 32;

function schemeStart(text: string, colon: number): number {
  let start = colon;
  while (
    start > Math.max(0, colon - MAX_SCHEME) &&
    (is(text, start - 1, ALNUM) || "+-.".includes(text.charAt(start - 1)))
  )
    start -= 1;
  return start;
}

/** The window may end in a scheme, in `://`, in `www`. */
function undecidedHead(scan: Scan, hosts: boolean): void {
  const { text } = scan;
  let end = text.length;
  while (end > text.length - 3 && end > 0 && (text[end - 1] === "/" || text[end - 1] === ":")) end -= 1;
  const start = schemeStart(text, end);
  scan.undecided(start);
  if (!hosts) return;
  let host = text.length;
  while (host > Math.max(0, text.length - 64) && isHost(text, host - 1)) host -= 1;
  scan.undecided(host);
}

function covers(domains: ReadonlySet<string>, host: string): boolean {
  if (domains.size === 0) return false;
  for (let at = 0; at !== -1; ) {
    if (domains.has(host.slice(at))) return true;
    const dot = host.indexOf(".", at);
    at = dot === -1 ? -1 : dot + 1;
  }
  return false;
}

const plainHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\*\./, "")
    .replace(/[\u3002\uff0e\uff61]/g, ".")
    .replace(/\.+$/, "")
    .replace(/^\.+/, "");

/** As a URL parser reads numbers: 127.0.0.1, 0x7f.1, 2130706433, 017700000001, [::1]. */
function isAddress(host: string): boolean {
  if (host.startsWith("[")) return isIpv6(host.slice(1).replace(/\]?(?:%.*)?$/, "")) || host.includes(":");
  const last = host.slice(host.lastIndexOf(".") + 1);
  return /^(?:\d+|0x[0-9a-f]*)$/.test(last);
}

/** Punycode, letters of several scripts in one label, or a script's letters that all look like Latin ones. */
function looksLikeAnother(host: string): boolean {
  for (const label of host.split(".")) {
    if (label.startsWith("xn--")) return true;
    if (!/[^\0-\x7f]/.test(label)) continue;
    let plain = 0;
    let alike = 0;
    let other = 0;
    for (let at = 0; at < label.length; at += 1) {
      const code = label.charCodeAt(at);
      const folded = FOLDED[code] as number;
      if (code < 128) plain += code > 57 ? 1 : 0;
      else if (folded > OTHER_LETTER && code >= 0x250) alike += 1;
      else other += 1;
    }
    if (alike > 0 && (plain > 0 || other === 0)) return true;
  }
  return false;
}
