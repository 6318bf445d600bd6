/** Texts that stand in a text as base64 (RFC 4648, both alphabets): looked into, since whoever hides something may write it so. */

/** Less holds nothing that is looked for. */
const MIN_BLOB = 12;
/** A longer one is looked at in pieces. */
const MAX_BLOB = 4_096;

/** 0 to 63; 64: not of the alphabet. */
const VALUES = new Uint8Array(65_536).fill(64);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
for (let value = 0; value < 64; value += 1) VALUES[ALPHABET.charCodeAt(value)] = value;
VALUES[45] = 62;
VALUES[95] = 63;

const isBase64 = (text: string, at: number): boolean => (VALUES[text.charCodeAt(at)] as number) < 64;

export interface Encoded {
  readonly start: number;
  readonly end: number;
  readonly plain: string;
}

/**
 * @param from what is before it was looked at before
 * @param undecided told where one begins that may go on behind the text
 */
export function encodedTexts(
  text: string,
  from: number,
  final: boolean,
  undecided: (start: number) => void,
): Encoded[] {
  const texts: Encoded[] = [];
  let after = 0;
  // A run of so many characters cannot lie between two places that are so far apart.
  for (let at = MIN_BLOB - 1; at < text.length; at += MIN_BLOB) {
    if (at < after || !isBase64(text, at)) continue;
    const start = runStart(text, at, after);
    after = at;
    while (after < text.length && isBase64(text, after)) after += 1;
    lookAt(text, start < from ? from : start, after, final, undecided, texts);
  }
  if (final) return texts;
  // One that is too short yet.
  let end = text.length;
  while (end > text.length - 2 && text[end - 1] === "=") end -= 1;
  const start = runStart(text, end, Math.max(from, end - MIN_BLOB));
  if (end > start && decoded(text, start, end) !== undefined) undecided(start);
  return texts;
}

/** A run of the alphabet, in pieces that are decided about one by one. */
function lookAt(
  text: string,
  start: number,
  after: number,
  final: boolean,
  undecided: (start: number) => void,
  texts: Encoded[],
): void {
  for (let at = start; at < after; at += MAX_BLOB) {
    const last = at + MAX_BLOB >= after;
    let end = last ? after : at + MAX_BLOB;
    if (end - at < MIN_BLOB) return;
    const plain = decoded(text, at, end);
    if (plain === undefined) continue;
    if (last) while (end < after + 2 && text[end] === "=") end += 1;
    if (last && end === text.length && !final) return undecided(at);
    texts.push({ start: at, end, plain });
  }
}

function runStart(text: string, at: number, least: number): number {
  while (at > least && isBase64(text, at - 1)) at -= 1;
  return at;
}

/** Undefined where it is no text: printable, mostly ASCII, some of it may be UTF-8 of other letters. */
function decoded(text: string, start: number, end: number): string | undefined {
  let plain = "";
  let bits = 0;
  let held = 0;
  let foreign = 0;
  for (let at = start; at < end; at += 1) {
    bits = ((bits << 6) | (VALUES[text.charCodeAt(at)] as number)) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const byte = (bits >> held) & 0xff;
    if ((byte < 32 && byte !== 9 && byte !== 10 && byte !== 13) || byte === 127) return undefined;
    if (byte > 127) foreign += 1;
    if (foreign * 4 > plain.length + 8) return undefined;
    plain += String.fromCharCode(byte);
  }
  return plain;
}
