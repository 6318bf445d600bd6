/**
 * The text of a key: `wk_`, 32 base62 characters (190 random bits), and a CRC-32 of both as 6 base62 characters. The prefix lets secret
 * scanners find a leaked key, the checksum lets them and us tell a typing error from a wrong key without a look-up.
 */
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX = "wk_";
const BODY_LENGTH = 32;
const CHECKSUM_LENGTH = 6;
const FORM = /^wk_[0-9A-Za-z]{38,}$/;
/** As much as is stored and shown to recognize a key by: the prefix and 29 bits of 190. */
const SHOWN_LENGTH = 8;

/** Random bytes that apiKeyOf may use up; see there. */
export const API_KEY_RANDOM_BYTES = 64;

/**
 * @param random API_KEY_RANDOM_BYTES of them. A byte above 247 is skipped, so that all characters are equally likely.
 * @returns undefined if too many bytes had to be skipped (less than once in 10^22): draw again
 */
export function apiKeyOf(random: Uint8Array): string | undefined {
  let key = PREFIX;
  for (const byte of random) {
    if (byte >= 248) continue;
    key += ALPHABET[byte % 62];
    if (key.length === PREFIX.length + BODY_LENGTH) return key + checksumOf(key);
  }
  return undefined;
}

/** Whether a text has the form and the checksum of a key. Says nothing about whether the key exists. */
export function isWellFormed(key: string): boolean {
  if (!FORM.test(key)) return false;
  const end = key.length - CHECKSUM_LENGTH;
  return checksumOf(key.slice(0, end)) === key.slice(end);
}

/** A text that was meant to be one of our keys and is none; an operator's own may have any form. */
export const isMistyped = (key: string): boolean => key.startsWith(PREFIX) && !isWellFormed(key);

export const shownPrefix = (key: string): string => key.slice(0, SHOWN_LENGTH);

/** The shortest text that is taken as a key from an operator, who may bring one of any form. */
export const SHORTEST_OPERATOR_KEY = 16;

function checksumOf(text: string): string {
  let rest = crc32(text);
  let digits = "";
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    digits = (ALPHABET[rest % 62] ?? "") + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** CRC-32 as of ISO 3309, of ASCII text. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
