import { common, minimal, NOTHING } from "./patterns.ts";

/** IP addresses and ranges of them (CIDR, RFC 4632 and 4291). An IPv4 address that is written as IPv6 (::ffff:1.2.3.4) is the IPv4 address. */
export interface IpRange {
  readonly family: 4 | 6;
  /** The first address. */
  readonly base: bigint;
  /** How many leading bits all of its addresses share. */
  readonly bits: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;
const MAPPED = 0xffffn << 32n;

function ipv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    // A leading zero is octal to some readers.
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** The 16-bit groups of one side of a "::"; the last may be an IPv4 address. */
function groups(text: string): bigint[] | undefined {
  if (text === "") return [];
  const found: bigint[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const embedded = index === parts.length - 1 ? ipv4(part) : undefined;
      if (embedded === undefined) return undefined;
      found.push(embedded >> 16n, embedded & 0xffffn);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      found.push(BigInt(`0x${part}`));
    } else {
      return undefined;
    }
  }
  return found;
}

function ipv6(text: string): bigint | undefined {
  const [left, right, more] = text.split("::");
  if (left === undefined || more !== undefined) return undefined;
  const high = groups(left);
  const low = right === undefined ? [] : groups(right);
  if (high === undefined || low === undefined) return undefined;
  // An embedded IPv4 address stands at the end only.
  if (right !== undefined && left.includes(".")) return undefined;
  const zeros = 8 - high.length - low.length;
  if (right === undefined ? zeros !== 0 : zeros < 1) return undefined;
  return [...high, ...Array<bigint>(zeros).fill(0n), ...low].reduce((value, group) => (value << 16n) | group, 0n);
}

/** @returns the range of this one address; undefined for what is none. An IPv6 zone ("%eth0") is left out of account */
export function ipOf(text: string): IpRange | undefined {
  if (!text.includes(":")) {
    const base = ipv4(text);
    return base === undefined ? undefined : { family: 4, base, bits: 32 };
  }
  const base = ipv6(text.replace(/%[^/]*$/, ""));
  if (base === undefined) return undefined;
  return base >> 32n === MAPPED >> 32n
    ? { family: 4, base: base & 0xffff_ffffn, bits: 32 }
    : { family: 6, base, bits: 128 };
}

const hostBits = ({ family, base, bits }: IpRange): bigint => base & ((1n << BigInt(WIDTH[family] - bits)) - 1n);

/** "10.0.0.0/8", "2001:db8::/32", or one address. @returns undefined for what is none, or has bits beyond its prefix */
export function rangeOf(text: string): IpRange | undefined {
  const [address = "", length, more] = text.split("/");
  const ip = address.includes("%") ? undefined : ipOf(address);
  if (ip === undefined || more !== undefined) return undefined;
  if (length === undefined) return ip;
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined;
  // ::ffff:0:0/96 is all of IPv4.
  const bits = Number(length) - (ip.family === 4 && address.includes(":") ? 96 : 0);
  const range = { ...ip, bits };
  return bits < 0 || bits > WIDTH[ip.family] || hostBits(range) !== 0n ? undefined : range;
}

/** Whether all of another range is in this one. */
export const contains = (range: IpRange, other: IpRange): boolean =>
  range.family === other.family &&
  range.bits <= other.bits &&
  other.base >> BigInt(WIDTH[range.family] - range.bits) === range.base >> BigInt(WIDTH[range.family] - range.bits);

/** As RFC 5952 writes it; a range of one address without a length. */
export function rangeText({ family, base, bits }: IpRange): string {
  const length = bits === WIDTH[family] ? "" : `/${bits}`;
  if (family === 4) return `${[24n, 16n, 8n, 0n].map((shift) => (base >> shift) & 255n).join(".")}${length}`;
  const hex = Array.from({ length: 8 }, (_, group) => ((base >> BigInt(112 - 16 * group)) & 0xffffn).toString(16));
  const text = hex.join(":");
  let longest = "";
  for (const [zeros] of text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)) if (zeros.length > longest.length) longest = zeros;
  if (longest === "") return text + length;
  const at = text.indexOf(longest, text.startsWith(longest) ? 0 : text.indexOf(`:${longest}`));
  return `${text.slice(0, at).replace(/:$/, "")}::${text.slice(at + longest.length).replace(/^:/, "")}${length}`;
}

/** The ranges that allow lists name; what is none allows nothing. */
export const rangesOf = (texts: readonly string[]): IpRange[] => texts.flatMap((text) => rangeOf(text) ?? []);

/** What both allow lists let through; written in one way, so that equal lists mean the same. */
export function commonAddresses(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0 && b.length === 0) return a;
  const [ours, theirs] = [rangesOf(a), rangesOf(b)];
  const both =
    a.length === 0 || b.length === 0 ? minimal([...ours, ...theirs], contains) : common(ours, theirs, contains);
  return both.length === 0 ? NOTHING : both.map(rangeText).sort();
}
