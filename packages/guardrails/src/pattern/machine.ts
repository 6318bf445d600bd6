/**
 * Runs a pattern over a text that comes in pieces, each character once: Thompson's simulation of all threads at once, so the cost is at
 * most (size of the pattern) per character whatever the text (K. Thompson, "Regular expression search algorithm", 1968; R. Cox, 2007).
 */
import { WeirError } from "@weir/kernel";
import { type Assertion, type Node, parsePattern, type UnitSet } from "./parse.ts";

/** A longer match is cut to its end: so much is held back of a stream at most. */
export const LONGEST_MATCH = 512;
const MAX_INSTRUCTIONS = 2_000;

type Instruction =
  | { readonly op: "set"; readonly set: UnitSet }
  | { readonly op: "assert"; readonly assertion: Assertion }
  | { readonly op: "split"; readonly to: number; readonly or: number }
  | { readonly op: "match" };

export class Pattern {
  readonly instructions: readonly Instruction[];
  /** Units (below 128) that a match can begin with; undefined where it may begin with an assertion or another unit, too. */
  readonly first: Uint8Array;
  /** ^ and $ are the ends of the text, not of its lines, and the empty text may match: as JSON Schema has it. */
  readonly whole: boolean;

  /** @throws WeirError invalid_request: not linear, too large, or it matches the empty text */
  constructor(
    source: string,
    options: { readonly ignoreCase?: boolean | undefined; readonly whole?: boolean | undefined } = {},
  ) {
    const program: Instruction[] = [];
    emit(parsePattern(source, options.ignoreCase ?? false), program);
    program.push({ op: "match" });
    this.instructions = program;
    const { ascii, empty } = firstOf(program);
    this.whole = options.whole ?? false;
    if (empty && !this.whole)
      throw new WeirError("invalid_request", "The pattern cannot be used: it also matches nothing at all.");
    this.first = empty ? ascii.fill(1) : ascii;
  }
}

function add(program: Instruction[], instruction: Instruction): number {
  if (program.length >= MAX_INSTRUCTIONS)
    throw new WeirError("invalid_request", "The pattern cannot be used: it is too large.");
  return program.push(instruction) - 1;
}

function emit(node: Node, program: Instruction[]): void {
  switch (node.kind) {
    case "set":
      add(program, { op: "set", set: node.set });
      break;
    case "assert":
      add(program, { op: "assert", assertion: node.assertion });
      break;
    case "all":
      for (const part of node.nodes) emit(part, program);
      break;
    case "any":
      emitAny(node.nodes, program);
      break;
    case "repeat":
      emitRepeat(node, program);
      break;
  }
}

function emitAny(nodes: readonly Node[], program: Instruction[]): void {
  const jumps: number[] = [];
  for (const [index, node] of nodes.entries()) {
    const last = index === nodes.length - 1;
    const split = last ? -1 : add(program, { op: "split", to: program.length + 1, or: 0 });
    emit(node, program);
    if (last) break;
    jumps.push(add(program, { op: "split", to: 0, or: 0 }));
    program[split] = { op: "split", to: split + 1, or: program.length };
  }
  for (const jump of jumps) program[jump] = { op: "split", to: program.length, or: program.length };
}

function emitRepeat(node: Extract<Node, { kind: "repeat" }>, program: Instruction[]): void {
  for (let count = 0; count < node.least; count += 1) emit(node.node, program);
  if (node.most === Infinity) {
    const split = add(program, { op: "split", to: 0, or: 0 });
    emit(node.node, program);
    add(program, { op: "split", to: split, or: split });
    program[split] = { op: "split", to: split + 1, or: program.length };
    return;
  }
  const splits: number[] = [];
  for (let count = node.least; count < node.most; count += 1) {
    splits.push(add(program, { op: "split", to: 0, or: 0 }));
    emit(node.node, program);
  }
  for (const split of splits) program[split] = { op: "split", to: split + 1, or: program.length };
}

function firstOf(program: readonly Instruction[]): { ascii: Uint8Array; empty: boolean } {
  const ascii = new Uint8Array(129);
  const seen = new Set<number>();
  const waiting = [0];
  let empty = false;
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const instruction = program[at] as Instruction;
    if (instruction.op === "split") waiting.push(instruction.to, instruction.or);
    else if (instruction.op === "assert") waiting.push(at + 1);
    else if (instruction.op === "match") empty = true;
    else {
      for (let code = 0; code < 128; code += 1) if (instruction.set.ascii[code] === 1) ascii[code] = 1;
      // The last slot stands for all that is not ASCII.
      if (instruction.set.ranges.length > 0) ascii[128] = 1;
    }
  }
  return { ascii, empty };
}

const isWord = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95;

const holds = (assertion: Assertion, before: number, after: number, whole: boolean): boolean => {
  switch (assertion) {
    case "word":
      return isWord(before) !== isWord(after);
    case "not-word":
      return isWord(before) === isWord(after);
    // Of a line: a text is rarely one.
    case "start":
      return before === -1 || (before === 10 && !whole);
    case "end":
      return after === -1 || ((after === 10 || after === 13) && !whole);
  }
};

function contains(set: UnitSet, code: number): boolean {
  if (code < 128) return set.ascii[code] === 1;
  for (const [from, to] of set.ranges) if (code >= from && code <= to) return true;
  return false;
}

/**
 * One run of a pattern over one text. Reports each place where a match ends, with the earliest start of a match that ends there: what
 * overlaps is one finding to whoever replaces it.
 */
export class Machine {
  readonly #program: readonly Instruction[];
  readonly #first: Uint8Array;
  readonly #whole: boolean;
  /** Threads before the next unit: where they stand, and where their match began. */
  #places: Int32Array;
  #starts: Int32Array;
  #count = 0;
  #nextPlaces: Int32Array;
  #nextStarts: Int32Array;
  /** When a place was last taken: a second thread there could only find what the first, which began earlier, finds. */
  readonly #taken: Int32Array;
  #round = 0;
  #before = -1;
  /** Units read so far. */
  #at = 0;
  readonly #stack: number[] = [];

  constructor(pattern: Pattern) {
    this.#program = pattern.instructions;
    this.#first = pattern.first;
    this.#whole = pattern.whole;
    const size = this.#program.length;
    this.#places = new Int32Array(size);
    this.#starts = new Int32Array(size);
    this.#nextPlaces = new Int32Array(size);
    this.#nextStarts = new Int32Array(size);
    this.#taken = new Int32Array(size);
  }

  /** Where a match that has begun may begin: text before it is decided. */
  get undecided(): number {
    let least = this.#at;
    for (let thread = 0; thread < this.#count; thread += 1) least = Math.min(least, this.#starts[thread] as number);
    return Math.max(least, this.#at - LONGEST_MATCH);
  }

  push(text: string, found: (start: number, end: number) => void): void {
    const first = this.#first;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (this.#count === 0 && first[code < 128 ? code : 128] === 0) this.#at += 1;
      else this.#step(code, found);
      this.#before = code;
    }
  }

  /** The text ends here. */
  end(found: (start: number, end: number) => void): void {
    this.#close(-1, found);
    this.#count = 0;
  }

  #step(code: number, found: (start: number, end: number) => void): void {
    const live = this.#close(code, found);
    const program = this.#program;
    let count = 0;
    for (let thread = 0; thread < live; thread += 1) {
      const place = this.#nextPlaces[thread] as number;
      const instruction = program[place] as Extract<Instruction, { op: "set" }>;
      if (!contains(instruction.set, code)) continue;
      this.#places[count] = place + 1;
      this.#starts[count] = this.#nextStarts[thread] as number;
      count += 1;
    }
    this.#count = count;
    this.#at += 1;
  }

  /** Follows what needs no unit, knowing the next one; what waits for a unit is left in `next…`. Earlier starts go first. */
  #close(after: number, found: (start: number, end: number) => void): number {
    this.#round += 1;
    let live = 0;
    for (let thread = 0; thread < this.#count; thread += 1)
      live = this.#follow(this.#places[thread] as number, this.#starts[thread] as number, after, live, found);
    if (after !== -1 || this.#whole) live = this.#follow(0, this.#at, after, live, found);
    return live;
  }

  #follow(
    place: number,
    start: number,
    after: number,
    live: number,
    found: (start: number, end: number) => void,
  ): number {
    const stack = this.#stack;
    stack.push(place);
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (this.#taken[at] === this.#round) continue;
      this.#taken[at] = this.#round;
      const instruction = this.#program[at] as Instruction;
      switch (instruction.op) {
        case "set":
          this.#nextPlaces[live] = at;
          this.#nextStarts[live] = start;
          live += 1;
          break;
        case "split":
          stack.push(instruction.or, instruction.to);
          break;
        case "assert":
          if (holds(instruction.assertion, this.#before, after, this.#whole)) stack.push(at + 1);
          break;
        case "match":
          found(Math.max(start, this.#at - LONGEST_MATCH), this.#at);
          break;
      }
    }
    return live;
  }
}
