import {
  BACKSLASH,
  CLOSE,
  COLON,
  COMMA,
  decoder,
  encoder,
  notAnObject,
  OPEN,
  QUOTE,
  skipSpace,
  skipString,
  skipValue,
  unescapeKey,
} from "./json-bytes.ts";

/**
 * Changes of members of a JSON object, by path: `model`, or `stream_options.include_usage` for a member of a member. The value is the
 * raw JSON to put there, or undefined to take the member out.
 */
export type JsonChanges = Readonly<Record<string, string | undefined>>;

interface Change {
  /** undefined: remove, unless there are nested changes. */
  readonly value: string | undefined;
  readonly nested: Plan | undefined;
}
interface Plan {
  readonly changes: Map<string, Change>;
  /** Some name has a capital letter, so that a key without any may be another spelling of it. */
  capitals: boolean;
}

/**
 * Changes members of a JSON object and leaves every other byte as it is. What policy decided must be what the provider reads, whichever
 * of two equal keys its parser takes: every occurrence of a changed key is replaced or removed, also where it is written with escapes
 * (`"mod\u0065l"`) or in other letters (`"Model"`: Go's encoding/json takes it for `model`).
 * A member that is missing is added at the end; a path below something that is no object replaces it by one.
 * @param bytes UTF-8 JSON, checked by JSON.parse before: only the structure that is walked over is looked at here
 * @throws WeirError invalid_request where it is not an object or ends too early
 */
export function spliceJson(bytes: Uint8Array, changes: JsonChanges): Uint8Array {
  const splicer = new Splicer(bytes);
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  splicer.object(skipSpace(bytes, start), planOf(changes));
  return splicer.finish();
}

function planOf(changes: JsonChanges): Plan {
  const plan: Plan = { changes: new Map(), capitals: false };
  for (const path in changes) add(plan, path, changes[path]);
  return plan;
}

function add(plan: Plan, path: string, value: string | undefined): void {
  const dot = path.indexOf(".");
  const head = dot === -1 ? path : path.slice(0, dot);
  if (head !== head.toLowerCase()) plan.capitals = true;
  const known = plan.changes.get(head);
  if (dot === -1 ? known !== undefined : known !== undefined && known.nested === undefined)
    throw new TypeError(`both ${head} and a member of it are changed`);
  if (dot === -1) plan.changes.set(head, { value, nested: undefined });
  else {
    const nested = known?.nested ?? { changes: new Map<string, Change>(), capitals: false };
    add(nested, path.slice(dot + 1), value);
    if (known === undefined) plan.changes.set(head, { value: undefined, nested });
  }
}

/** The JSON of an object that only holds what a plan adds; undefined where it adds nothing. */
function rawOf(change: Change): string | undefined {
  if (change.nested === undefined) return change.value;
  const members: string[] = [];
  for (const [name, inner] of change.nested.changes) {
    const raw = rawOf(inner);
    if (raw !== undefined) members.push(`${JSON.stringify(name)}:${raw}`);
  }
  return members.length === 0 ? undefined : `{${members.join(",")}}`;
}

class Splicer {
  readonly #bytes: Uint8Array;
  // Three parallel lists: bytes from `start` to `end` are replaced by `text`; in order, never overlapping.
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #texts: string[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Applies a plan to the object that opens at `open`; returns the offset after its closing brace. */
  object(open: number, plan: Plan): number {
    const bytes = this.#bytes;
    if (bytes[open] !== OPEN) throw notAnObject();
    const found: string[] = [];
    let keptEnd = -1;
    let at = skipSpace(bytes, open + 1);
    let close = bytes[at] === CLOSE ? at : -1;
    while (close === -1) {
      if (bytes[at] !== QUOTE) throw notAnObject();
      const keyStart = at;
      const keyEnd = skipString(bytes, at);
      at = skipSpace(bytes, keyEnd);
      if (bytes[at] !== COLON) throw notAnObject();
      const valueStart = skipSpace(bytes, at + 1);
      const name = keyIn(bytes, keyStart + 1, keyEnd - 1, plan, found);
      const change = name === undefined ? undefined : plan.changes.get(name);
      let valueEnd: number;
      if (change?.nested !== undefined && bytes[valueStart] === OPEN) valueEnd = this.object(valueStart, change.nested);
      else valueEnd = skipValue(bytes, valueStart);
      at = skipSpace(bytes, valueEnd);
      const next = bytes[at];
      if (next === CLOSE) close = at;
      else if (next !== COMMA) throw notAnObject();
      else at = skipSpace(bytes, at + 1);
      if (change !== undefined && change.nested === undefined && change.value === undefined) {
        if (close === -1) this.#edit(keyStart, at, "");
        else this.#removeLast(keptEnd, keyStart, valueEnd);
        continue;
      }
      if (change !== undefined && (change.nested === undefined || bytes[valueStart] !== OPEN)) {
        const raw = rawOf(change);
        if (raw !== undefined) this.#edit(valueStart, valueEnd, raw);
      }
      keptEnd = valueEnd;
    }
    let comma = keptEnd !== -1;
    for (const [name, change] of plan.changes) {
      if (found.includes(name)) continue;
      const raw = rawOf(change);
      if (raw === undefined) continue;
      this.#edit(close, close, `${comma ? "," : ""}${JSON.stringify(name)}:${raw}`);
      comma = true;
    }
    return close + 1;
  }

  finish(): Uint8Array {
    const bytes = this.#bytes;
    if (this.#starts.length === 0) return bytes;
    const texts = this.#texts.map((text) => encoder.encode(text));
    let length = bytes.length;
    for (let index = 0; index < texts.length; index += 1)
      length += (texts[index]?.length ?? 0) - ((this.#ends[index] ?? 0) - (this.#starts[index] ?? 0));
    const result = new Uint8Array(length);
    let from = 0;
    let to = 0;
    for (let index = 0; index < texts.length; index += 1) {
      const start = this.#starts[index] ?? 0;
      const text = texts[index] ?? bytes;
      result.set(bytes.subarray(from, start), to);
      to += start - from;
      result.set(text, to);
      to += text.length;
      from = this.#ends[index] ?? 0;
    }
    result.set(bytes.subarray(from), to);
    return result;
  }

  #edit(start: number, end: number, text: string): void {
    this.#starts.push(start);
    this.#ends.push(end);
    this.#texts.push(text);
  }

  /** The last member goes, and with it the comma before it; the members between it and the last one kept are going already. */
  #removeLast(keptEnd: number, keyStart: number, valueEnd: number): void {
    if (keptEnd === -1) return this.#edit(keyStart, valueEnd, "");
    while ((this.#starts.at(-1) ?? -1) >= keptEnd) {
      this.#starts.pop();
      this.#ends.pop();
      this.#texts.pop();
    }
    this.#edit(keptEnd, valueEnd, "");
  }
}

/** The plan's name for a key, whichever way it is written; notes in `found` only those written exactly so. */
function keyIn(bytes: Uint8Array, start: number, end: number, plan: Plan, found: string[]): string | undefined {
  let plain = true;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte === BACKSLASH || byte > 127 || (byte > 64 && byte < 91)) {
      plain = false;
      break;
    }
  }
  if (plain) {
    for (const name of plan.changes.keys()) {
      if (name.length !== end - start) continue;
      let at = 0;
      while (at < name.length && name.charCodeAt(at) === bytes[start + at]) at += 1;
      if (at === name.length) {
        found.push(name);
        return name;
      }
    }
  }
  if (plain && !plan.capitals) return undefined;
  const literal = decoder.decode(bytes.subarray(start, end));
  const written = plain ? literal : unescapeKey(literal);
  if (plan.changes.has(written)) {
    found.push(written);
    return written;
  }
  const folded = fold(written);
  for (const name of plan.changes.keys()) if (fold(name) === folded) return name;
  return undefined;
}

// The long s folds to s in Go, too; the Kelvin sign is lowered to k by toLowerCase.
const fold = (name: string): string => name.toLowerCase().replaceAll("\u017f", "s");
