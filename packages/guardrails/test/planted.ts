/** Texts with values planted in them, for what must hold of any text. Made from a seed, with values no detector was written against. */

export type Random = () => number;

/** mulberry32 */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const below = (random: Random, limit: number): number => Math.floor(random() * limit);
export const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)] as T;

const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const ALNUM = UPPER + LOWER + DIGITS;

export function from(random: Random, alphabet: string, length: number): string {
  let text = "";
  for (let count = 0; count < length; count += 1) text += alphabet[below(random, alphabet.length)];
  return text;
}

function withLuhn(digits: string): string {
  for (let check = 0; check < 10; check += 1) {
    let sum = 0;
    const all = digits + String(check);
    for (let at = 0; at < all.length; at += 1) {
      let digit = Number(all[all.length - 1 - at]);
      if (at % 2 === 1) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
      sum += digit;
    }
    if (sum % 10 === 0) return all;
  }
  throw new Error("no check digit");
}

/** Visa, Mastercard, American Express, Discover, JCB, Diners, UnionPay, as forms and shops write them. */
export function cardNumber(random: Random): string {
  const [prefix, length] = pick(random, [
    ["4", 16],
    ["51", 16],
    ["55", 16],
    ["2221", 16],
    ["34", 15],
    ["37", 15],
    ["6011", 16],
    ["65", 16],
    ["3530", 16],
    ["36", 14],
    ["6212", 16],
  ] as const);
  const digits = withLuhn(prefix + from(random, DIGITS, length - prefix.length - 1));
  const separator = pick(random, ["", "", " ", "-"]);
  if (separator === "") return digits;
  if (length === 15) return [digits.slice(0, 4), digits.slice(4, 10), digits.slice(10)].join(separator);
  if (length === 14) return [digits.slice(0, 4), digits.slice(4, 10), digits.slice(10)].join(separator);
  return (digits.match(/.{4}/g) ?? []).join(separator);
}

export function secretKey(random: Random): string {
  return pick(random, [
    () => `sk-proj-${from(random, ALNUM, 48)}`,
    () => `sk-ant-api03-${from(random, `${ALNUM}_-`, 92)}A`,
    () => `AKIA${from(random, `${UPPER}234567`, 16)}`,
    () => `AIza${from(random, ALNUM, 35)}`,
    () => `ghp_${from(random, ALNUM, 36)}`,
    () => `github_pat_${from(random, ALNUM, 22)}_${from(random, ALNUM, 59)}`,
    () => `xoxb-${from(random, DIGITS, 12)}-${from(random, DIGITS, 12)}-${from(random, ALNUM, 24)}`,
    () => `sk_live_${from(random, ALNUM, 24)}`,
    () => `npm_${from(random, ALNUM, 36)}`,
    () => `SG.${from(random, ALNUM, 22)}.${from(random, ALNUM, 43)}`,
    () => `hf_${from(random, ALNUM, 34)}`,
    () => `wk_${from(random, ALNUM, 38)}`,
    () => `eyJhbGciOiJIUzI1NiJ9.eyJ${from(random, ALNUM, 40)}.${from(random, ALNUM, 43)}`,
    () => privateKey(random),
  ])();
}

export function privateKey(random: Random): string {
  const kind = pick(random, ["", "RSA ", "EC ", "OPENSSH "]);
  const lines = Array.from({ length: 3 + below(random, 8) }, () => from(random, `${ALNUM}+/`, 64));
  return `-----BEGIN ${kind}PRIVATE KEY-----\n${lines.join("\n")}\n-----END ${kind}PRIVATE KEY-----`;
}

const WORDS =
  'the a report of which we sent on Monday was read by nobody in Zürich; the total, 12 of 400, grew (again) in 2024 – see https://example.org/a?b=c for more: 数据 が 多い! naïve x = y; {"k": 3.14} it\'s'.split(
    " ",
  );

export function prose(random: Random, words: number): string {
  const list: string[] = [];
  for (let count = 0; count < words; count += 1) list.push(pick(random, WORDS));
  return list.join(pick(random, [" ", " ", "  ", "\n"]));
}

/** Cuts a text at random places: characters, words, or large pieces. */
export function cut(random: Random, text: string): string[] {
  const largest = pick(random, [1, 3, 8, 40, 400]);
  const pieces: string[] = [];
  for (let at = 0; at < text.length; ) {
    const size = 1 + below(random, largest);
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}
