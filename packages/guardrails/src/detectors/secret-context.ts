import { ALNUM, entropy, is, SPACE, TOKEN } from "../characters.ts";
import type { Scan } from "../detector.ts";

const MAX_NAME = 48;
const MAX_GAP = 12;
const MAX_VALUE = 512;

/** Names of things that are secret whatever they look like. */
const PASSWORD = /pass(?:word|wd|phrase|code)?$|pwd$|passwort$|contraseña$|kennwort$/i;
/** Names of what is secret if it looks random. */
const TOKEN_NAME =
  /(?:secret|token|api[_-]?key|access[_-]?key|account[_-]?key|auth[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|shared[_-]?access[_-]?key|access[_-]?key[_-]?id|secret[_-]?key|client[_-]?secret|credentials?|authorization|bearer|webhook|dsn|license[_-]?key|app[_-]?key|service[_-]?key|subscription[_-]?key|functions?[_-]?key|session[_-]?key|salt|sig|signature|auth)(?:[_-]?(?:base64|b64|hex|value|v?\d))?$/i;

/** What stands for a value in examples and code. */
const NO_VALUE =
  /^(?:<.*|\$.*|\{.*|%.*|\*+|x{4,}|\.{3,}|your.*|my[_-].*|example.*|placeholder.*|redacted.*|\[.*|null|none|nil|undefined|true|false|string|str|required|optional|hidden|secret|password|token|process\.env.*|os\.(?:environ|getenv).*|env[.:(].*|config\..*|self\..*|this\..*|getenv.*|function.*|await.*|new\b.*|return.*|request\..*|req\..*|vault:.*|file:.*|https?:.*|arn:aws.*|projects\/.*|changeme.*|todo.*|dummy.*|fake.*|sample.*|test[_-]?(?:token|key|secret|password)?)$/i;

const isValue = (code: number): boolean =>
  code > 32 &&
  code < 127 &&
  code !== 34 &&
  code !== 39 &&
  code !== 96 &&
  code !== 60 &&
  code !== 62 &&
  code !== 44 &&
  code !== 59 &&
  code !== 41 &&
  code !== 93 &&
  code !== 125 &&
  code !== 92;

/** `password = "…"`, `"api_key": "…"`, `AccountKey=…;`, `the password is …`, `Authorization: Bearer …` */
export function assignments(scan: Scan): void {
  const { text } = scan;
  for (const sign of ["=", ":"]) {
    for (let at = text.indexOf(sign); at !== -1; at = text.indexOf(sign, at + 1)) assignmentAt(scan, at);
  }
  VERB.lastIndex = 0;
  for (let verb = VERB.exec(text); verb !== null; verb = VERB.exec(text)) {
    const name = mayBeSecret(text, verb.index) ? nameBefore(text, verb.index) : "";
    if (isSecretName(name)) valueAt(scan, VERB.lastIndex, name, true);
    // The blank behind may be the one before the next.
    VERB.lastIndex -= 1;
  }
}

/** The password is …, das Passwort ist …, la contraseña es … */
const VERB = / (?:is|ist|es) /g;

/** How names of secrets end: asked before the patterns are, since most names are none. */
const ENDINGS = new Set(
  "ord swd ase ode pwd ort eña ret ken key _id -id als ial ion rer ook dsn alt sig ure uth e64 b64 hex lue".split(" "),
);

/** Asked before the name is looked for: it ends where it ends. */
function mayBeSecret(text: string, end: number): boolean {
  const last = nameEnd(text, end);
  const code = text.charCodeAt(last - 1);
  return (code >= 48 && code <= 57) || ENDINGS.has(text.slice(last - 3, last).toLowerCase());
}

const isSecretName = (name: string): boolean => PASSWORD.test(name) || TOKEN_NAME.test(name);

function assignmentAt(scan: Scan, sign: number): void {
  const { text } = scan;
  if (!mayBeSecret(text, sign)) return;
  const name = nameBefore(text, sign);
  if (!isSecretName(name)) return;
  let at = sign + 1;
  // := and => and ==
  if (text[at] === "=" || text[at] === ">") at += 1;
  valueAt(scan, at, name, false);
}

/** Where the name before `end` ends, quotes and blanks between them left out. */
function nameEnd(text: string, end: number): number {
  let last = end;
  const least = Math.max(0, end - MAX_GAP);
  while (last > least && (is(text, last - 1, SPACE) || isAround(text.charCodeAt(last - 1)))) last -= 1;
  return last;
}

function nameBefore(text: string, end: number): string {
  const last = nameEnd(text, end);
  let first = last;
  const most = Math.max(0, last - MAX_NAME);
  while (first > most && (is(text, first - 1, TOKEN) || (text[first - 1] === " " && isKeyWord(text, first))))
    first -= 1;
  return text.slice(first, last).replaceAll(" ", "_");
}

/** Quotes, emphasis, the end of an index, the colon of := and an escaped quote's backslash. */
const isAround = (code: number): boolean =>
  code === 34 || code === 39 || code === 96 || code === 42 || code === 58 || code === 93 || code === 92;

/** "api key", "access token": the blank belongs to the name. */
const isKeyWord = (text: string, at: number): boolean => /^(?:key|token|secret|id)\b/i.test(text.slice(at, at + 7));

function valueAt(scan: Scan, from: number, name: string, spoken: boolean): void {
  const { text } = scan;
  let at = from;
  const gapEnd = Math.min(text.length, from + MAX_GAP);
  let quote = "";
  while (at < gapEnd && (is(text, at, SPACE) || "\"'`\\".includes(text.charAt(at)))) {
    if (text[at] === "\n" && quote === "") return;
    if (!is(text, at, SPACE) && text[at] !== "\\") quote = text.charAt(at);
    at += 1;
  }
  const scheme = /^(?:Bearer|Basic|Token|token|ApiKey)\s+/.exec(text.slice(at, at + 12));
  if (scheme !== null) at += scheme[0].length;
  else if (text.length - at < 8 && /^[A-Za-z]*\s?$/.test(text.slice(at))) scan.undecided(at);
  const start = at;
  const limit = Math.min(text.length, start + MAX_VALUE);
  while (at < limit && isValue(text.charCodeAt(at))) at += 1;
  if (at === text.length) scan.undecided(start);
  // A sentence's full stop.
  if (spoken || quote === "") while (at > start && ".:!?".includes(text.charAt(at - 1))) at -= 1;
  const value = text.slice(start, at);
  if (isSecret(value, name, spoken && quote === "")) scan.found("SECRET", start, at);
}

function isSecret(value: string, name: string, inProse: boolean): boolean {
  if (value.length < 6 || NO_VALUE.test(value) || /[(){}]/.test(value)) return false;
  const digits = /\d/.test(value);
  const letters = /[A-Za-z]/.test(value);
  const marks = /[^A-Za-z0-9._/-]/.test(value);
  const capitals = /[a-z]/.test(value) && /[A-Z]/.test(value);
  if (PASSWORD.test(name)) {
    if (/^[a-z]+[._][a-z._]+$/i.test(value)) return false;
    return inProse
      ? letters && (digits || marks)
      : (letters && (digits || marks || capitals)) || (digits && value.length >= 6);
  }
  if (value.length < 16 || !letters || !(digits || (capitals && marks))) return false;
  if (/^[\w-]+(?:\.[A-Za-z_][\w-]*)+$/.test(value) && !/\d{3}/.test(value)) return false;
  return entropy(value) >= 3 && is(value, 0, ALNUM | TOKEN);
}
