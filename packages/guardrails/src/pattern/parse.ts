import { WeirError } from "@weir/kernel";

/** A set of UTF-16 units: a table for ASCII, ranges for the rest. */
export interface UnitSet {
  readonly ascii: Uint8Array;
  readonly ranges: readonly (readonly [from: number, to: number])[];
}

export type Assertion = "word" | "not-word" | "start" | "end";

export type Node =
  | { readonly kind: "set"; readonly set: UnitSet }
  | { readonly kind: "assert"; readonly assertion: Assertion }
  | { readonly kind: "all"; readonly nodes: readonly Node[] }
  | { readonly kind: "any"; readonly nodes: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly least: number; readonly most: number };

const MAX_REPEAT = 1_000;
const MAX_DEPTH = 50;

type Ranges = readonly (readonly [number, number])[];
const DIGITS: Ranges = [[48, 57]];
const WORDS: Ranges = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const SPACES: Ranges = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];

export function setOf(ranges: Ranges, negated: boolean, ignoreCase: boolean): UnitSet {
  let list = [...ranges];
  if (ignoreCase) list = list.flatMap(bothCases);
  if (negated) list = complement(list);
  const ascii = new Uint8Array(128);
  for (const [from, to] of list) for (let code = from; code <= Math.min(to, 127); code += 1) ascii[code] = 1;
  return { ascii, ranges: list.filter(([, to]) => to > 127).map(([from, to]) => [Math.max(from, 128), to] as const) };
}

function bothCases(range: readonly [number, number]): (readonly [number, number])[] {
  const [from, to] = range;
  const both: (readonly [number, number])[] = [range];
  if (to - from > 1_000) return both;
  for (let code = from; code <= to; code += 1) {
    const character = String.fromCharCode(code);
    for (const other of [character.toLowerCase(), character.toUpperCase()]) {
      if (other.length === 1 && other !== character) both.push([other.charCodeAt(0), other.charCodeAt(0)]);
    }
  }
  return both;
}

function complement(ranges: Ranges): (readonly [number, number])[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const rest: (readonly [number, number])[] = [];
  let next = 0;
  for (const [from, to] of sorted) {
    if (from > next) rest.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  if (next <= 0xffff) rest.push([next, 0xffff]);
  return rest;
}

/**
 * The regular expressions that run in linear time: literals, `.`, classes, \d \w \s \b ^ $, groups, alternatives, repetition. No
 * back-references and no look-around: those have no linear algorithm.
 * @throws WeirError invalid_request that says what is not taken, and where
 */
export function parsePattern(source: string, ignoreCase: boolean): Node {
  return new Parser(source, ignoreCase).whole();
}

class Parser {
  readonly #source: string;
  readonly #ignoreCase: boolean;
  #at = 0;
  #depth = 0;

  constructor(source: string, ignoreCase: boolean) {
    this.#source = source;
    this.#ignoreCase = ignoreCase;
  }

  whole(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#source.length) throw this.#wrong("a ) without its (");
    return node;
  }

  #wrong(what: string): WeirError {
    return new WeirError("invalid_request", `The pattern cannot be used: ${what} at character ${this.#at + 1}.`);
  }

  #alternatives(): Node {
    const nodes = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at += 1;
      nodes.push(this.#sequence());
    }
    return nodes.length === 1 ? (nodes[0] as Node) : { kind: "any", nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    while (this.#at < this.#source.length && this.#source[this.#at] !== "|" && this.#source[this.#at] !== ")")
      nodes.push(this.#repeated());
    return nodes.length === 1 ? (nodes[0] as Node) : { kind: "all", nodes };
  }

  #repeated(): Node {
    let node = this.#atom();
    for (;;) {
      const bounds = this.#bounds();
      if (bounds === undefined) return node;
      if (node.kind === "assert") throw this.#wrong("a repeated assertion");
      const [least, most] = bounds;
      node = { kind: "repeat", node, least, most };
      // Lazy and greedy find the same places.
      if (this.#source[this.#at] === "?") this.#at += 1;
      else if (this.#source[this.#at] === "+") throw this.#wrong("a possessive repetition");
    }
  }

  #bounds(): [number, number] | undefined {
    const character = this.#source[this.#at];
    if (character === "*" || character === "+" || character === "?") {
      this.#at += 1;
      return character === "*" ? [0, Infinity] : character === "+" ? [1, Infinity] : [0, 1];
    }
    if (character !== "{") return undefined;
    const [text, least, comma, most] =
      /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#source.slice(this.#at, this.#at + 12))?.slice(0, 4) ?? [];
    if (text === undefined) return undefined;
    this.#at += text.length;
    const from = Number(least);
    const to = comma === undefined ? from : most === "" || most === undefined ? Infinity : Number(most);
    if (from > MAX_REPEAT || (to !== Infinity && to > MAX_REPEAT))
      throw this.#wrong(`more than ${MAX_REPEAT} repetitions`);
    if (to < from) throw this.#wrong("a repetition that ends before it begins");
    return [from, to];
  }

  #atom(): Node {
    const character = this.#source.charAt(this.#at);
    this.#at += 1;
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case ".":
        return {
          kind: "set",
          set: setOf(
            [
              [10, 10],
              [13, 13],
              [0x2028, 0x2029],
            ],
            true,
            false,
          ),
        };
      case "^":
        return { kind: "assert", assertion: "start" };
      case "$":
        return { kind: "assert", assertion: "end" };
      case "*":
      case "+":
      case "?":
        throw this.#wrong("a repetition of nothing");
      case "\\":
        return this.#escape();
      default:
        return this.#literal(character.charCodeAt(0));
    }
  }

  #literal(code: number): Node {
    return { kind: "set", set: setOf([[code, code]], false, this.#ignoreCase) };
  }

  #group(): Node {
    if (this.#source[this.#at] === "?") {
      const head = /^\?(?::|P?<[A-Za-z_]\w*>)/.exec(this.#source.slice(this.#at, this.#at + 64));
      if (head === null) throw this.#wrong("look-around or a flag in a group");
      this.#at += head[0].length;
    }
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#wrong("groups that are nested too deep");
    const node = this.#alternatives();
    if (this.#source[this.#at] !== ")") throw this.#wrong("a ( without its )");
    this.#at += 1;
    this.#depth -= 1;
    return node;
  }

  #escape(): Node {
    const character = this.#source.charAt(this.#at);
    this.#at += 1;
    if (character === "b") return { kind: "assert", assertion: "word" };
    if (character === "B") return { kind: "assert", assertion: "not-word" };
    const shorthand = shorthandOf(character);
    if (shorthand !== undefined) return { kind: "set", set: setOf(shorthand, false, false) };
    return this.#literal(this.#escaped(character));
  }

  #escaped(character: string): number {
    const control = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 }[character];
    if (control !== undefined) return control;
    if (character === "x" || character === "u") {
      const length = character === "x" ? 2 : 4;
      const digits = this.#source.slice(this.#at, this.#at + length);
      if (!/^[0-9A-Fa-f]+$/.test(digits) || digits.length < length) throw this.#wrong("an escape that is not complete");
      this.#at += length;
      return Number.parseInt(digits, 16);
    }
    if (character === "" || /[A-Za-z0-9]/.test(character)) throw this.#wrong(`the escape \\${character}`);
    return character.charCodeAt(0);
  }

  #class(): Node {
    const negated = this.#source[this.#at] === "^";
    if (negated) this.#at += 1;
    const ranges: (readonly [number, number])[] = [];
    for (let first = true; ; first = false) {
      const character = this.#source.charAt(this.#at);
      if (character === "") throw this.#wrong("a [ without its ]");
      if (character === "]" && !first) break;
      const from = this.#member(ranges);
      if (from === undefined) continue;
      if (this.#source[this.#at] !== "-" || this.#source[this.#at + 1] === "]") {
        ranges.push([from, from]);
        continue;
      }
      this.#at += 1;
      const to = this.#member(ranges);
      if (to === undefined || to < from) throw this.#wrong("a range that is none");
      ranges.push([from, to]);
    }
    this.#at += 1;
    return { kind: "set", set: setOf(ranges, negated, this.#ignoreCase) };
  }

  /** A unit of a class; undefined where it was a whole class of its own. */
  #member(ranges: (readonly [number, number])[]): number | undefined {
    const character = this.#source.charAt(this.#at);
    this.#at += 1;
    if (character !== "\\") return character.charCodeAt(0);
    const escape = this.#source.charAt(this.#at);
    this.#at += 1;
    const shorthand = shorthandOf(escape);
    if (shorthand === undefined) return escape === "b" ? 8 : this.#escaped(escape);
    ranges.push(...shorthand);
    return undefined;
  }
}

function shorthandOf(character: string): Ranges | undefined {
  const ranges = { d: DIGITS, w: WORDS, s: SPACES }[character.toLowerCase()];
  if (ranges === undefined) return undefined;
  return character === character.toLowerCase() ? ranges : complement(ranges);
}
