/**
 * One text that comes in pieces. What it lets through is what a scan of the whole text would: nothing is let through before it is
 * decided that it is no part of a finding. So much is held back at most as the longest finding of the scanner's detectors has.
 */
import { CONTEXT_LENGTH, type Sight } from "./detector.ts";
import { resolve, type Span } from "./resolve.ts";
import { type Owned, runPatterns, type Scanner, scanWindow, type Source } from "./scanner.ts";
import type { Tally } from "./verdict.ts";

/** A stretch of the text, in order: as it is, or to be replaced. */
export interface Piece {
  readonly text: string;
  /** Undefined: it may be shown. */
  readonly label: string | undefined;
}

/** Of a text that judges see; what is beyond is not judged. */
export const MAX_JUDGED = 256 << 10;
/** Of what is read otherwise than it is written: several units may be one. */
const WIDE_CONTEXT = 2 * CONTEXT_LENGTH;
/** Up to this length the held text is scanned with every push; then only when it has grown by a quarter, so that the work stays linear. */
const EAGER = 256;

export class TextStream {
  readonly #scanner: Scanner;
  readonly #tally: Tally;
  readonly #patterns: ReturnType<typeof runPatterns> | undefined;
  /** Released text before what is held. */
  #context = "";
  #held = "";
  /** Where `#held` begins in the whole text. */
  #base = 0;
  #late: ReturnType<ReturnType<typeof runPatterns>["take"]> = [];
  #scanAt = 0;
  #judged = "";
  #length = 0;
  #blocked: Source | undefined;

  constructor(scanner: Scanner, tally: Tally) {
    this.#scanner = scanner;
    this.#tally = tally;
    this.#patterns = scanner.patterns.length === 0 ? undefined : runPatterns(scanner);
    tally.segment(scanner.place);
  }

  /** Whose finding ended it: from then on nothing is let through. */
  get blocked(): Source | undefined {
    return this.#blocked;
  }

  /** @returns what is decided by now */
  push(text: string): Piece[] {
    if (this.#blocked !== undefined || text === "") return NONE;
    this.append(text);
    if (this.#held.length < this.#scanAt) return NONE;
    return this.#release(false);
  }

  /** More text, to be scanned with what follows or at the end. */
  append(text: string): void {
    this.#held += text;
    this.#length += text.length;
    this.#patterns?.push(text);
    if (this.#scanner.judges.length === 0) return;
    const room = MAX_JUDGED - this.#judged.length;
    // One more than is judged, so that it is seen that there was more.
    if (room >= 0) this.#judged += text.length > room ? text.slice(0, room + 1) : text;
  }

  /** The text ends here. */
  end(): Piece[] {
    if (this.#blocked !== undefined) return NONE;
    this.#patterns?.end();
    if (this.#scanner.judges.length > 0) this.#blocked = judge(this.#scanner, this.#judged, undefined, this.#tally);
    const pieces = this.#blocked === undefined ? this.#release(true) : NONE;
    this.#tally.characters(this.#scanner.place, this.#length);
    return pieces;
  }

  #release(final: boolean): Piece[] {
    const window = this.#context + this.#held;
    const offset = this.#context.length;
    const { found, decided: windowDecided, otherwise } = scanWindow(this.#scanner, window, offset, final);
    let decided = windowDecided;
    if (this.#patterns !== undefined) {
      // Offsets of the whole text, as offsets of this window.
      const shift = offset - this.#base;
      this.#late.push(...this.#patterns.take());
      for (const finding of this.#late)
        found.push({ ...finding, start: Math.max(offset, finding.start + shift), end: finding.end + shift });
      if (!final) decided = Math.min(decided, Math.max(offset, this.#patterns.undecided + shift));
    }
    const spans = resolve(this.#scanner, found);
    for (const span of spans) {
      if (span.from < decided && span.to > decided) decided = span.from;
    }
    const pieces = this.#pieces(window, offset, decided, spans);
    if (this.#blocked !== undefined) return NONE;
    this.#context = window.slice(Math.max(0, decided - (otherwise ? WIDE_CONTEXT : CONTEXT_LENGTH)), decided);
    this.#held = window.slice(decided);
    this.#base += decided - offset;
    this.#late = this.#late.filter((finding) => finding.end > this.#base);
    this.#scanAt = this.#held.length <= EAGER ? 0 : this.#held.length * 1.25;
    return pieces;
  }

  #pieces(window: string, offset: number, decided: number, spans: readonly Span[]): Piece[] {
    const pieces: Piece[] = [];
    let at = offset;
    for (const span of spans) {
      if (span.to > decided) break;
      for (const source of span.sources) this.#tally.found(source, this.#scanner.place);
      if (span.blocks !== undefined) {
        this.#blocked = span.blocks;
        return NONE;
      }
      if (!span.cut) continue;
      if (span.start > at) pieces.push({ text: window.slice(at, span.start), label: undefined });
      pieces.push({ text: window.slice(span.start, span.end), label: span.label });
      at = span.end;
    }
    if (decided > at) pieces.push({ text: window.slice(at, decided), label: undefined });
    return pieces;
  }
}

const NONE: Piece[] = [];

/**
 * A whole text at once: what a stream of it would let through, at less cost.
 * @returns the pieces only where some of the text is to be replaced
 */
export function scanText(
  scanner: Scanner,
  text: string,
  tally: Tally,
): { readonly blocked: Source | undefined; readonly pieces: Piece[] | undefined } {
  const { place } = scanner;
  tally.segment(place);
  tally.characters(place, text.length);
  const { found, sight } = findingsOf(scanner, text);
  let blocked: Source | undefined;
  if (scanner.judges.length > 0) blocked = judge(scanner, text, sight, tally);
  if (found.length === 0 || blocked !== undefined) return { blocked, pieces: undefined };
  const pieces: Piece[] = [];
  let at = 0;
  for (const span of resolve(scanner, found)) {
    for (const source of span.sources) tally.found(source, place);
    if (span.blocks !== undefined) return { blocked: span.blocks, pieces: undefined };
    if (!span.cut) continue;
    if (span.start > at) pieces.push({ text: text.slice(at, span.start), label: undefined });
    pieces.push({ text: text.slice(span.start, span.end), label: span.label });
    at = span.end;
  }
  if (at === 0 && pieces.length === 0) return { blocked: undefined, pieces: undefined };
  if (at < text.length) pieces.push({ text: text.slice(at), label: undefined });
  return { blocked: undefined, pieces };
}

/**
 * Texts that are read one behind the other, as the parts of a message are: what begins in one and ends in another is found, too. Each is
 * scanned by itself all the same, since what stands before a match may hide it.
 * @param isClose whether nothing at all stands between the text with this index and the one before it
 * @returns by text, as scanText; what reaches over several is replaced where it begins
 */
export function scanTexts(
  scanner: Scanner,
  texts: readonly string[],
  tally: Tally,
  isClose: (index: number) => boolean = () => true,
): { readonly blocked: Source | undefined; readonly pieces: readonly (Piece[] | undefined)[] } {
  const [only = ""] = texts;
  if (texts.length === 1) {
    const { blocked, pieces } = scanText(scanner, only, tally);
    return { blocked, pieces: [pieces] };
  }
  const { place } = scanner;
  const joined = texts.join("");
  const bounds: number[] = [0];
  const found: Owned[] = [];
  for (const text of texts) {
    const start = bounds.at(-1) ?? 0;
    bounds.push(start + text.length);
    tally.segment(place);
    tally.characters(place, text.length);
    for (const finding of findingsOf(scanner, text).found)
      found.push({ ...finding, start: finding.start + start, end: finding.end + start });
  }
  const isKnown = overlapOf(found);
  for (const finding of findingsOf(scanner, joined).found) {
    const next = firstAbove(bounds, finding.start);
    if ((bounds[next] ?? joined.length) >= finding.end) continue;
    // What only makes a text's own finding longer is rather the first word of another message: a@b.co, and then "hi".
    if (isClose(next) || !isKnown(finding)) found.push(finding);
  }
  // By place and not by content: one of them may be all that the others add up to.
  for (const [index, text] of scanner.judges.length === 0 ? [] : [...texts, joined].entries()) {
    const blocked = judge(scanner, text, undefined, tally, index === texts.length);
    if (blocked !== undefined) return { blocked, pieces: [] };
  }
  const spans = resolve(scanner, found);
  for (const span of spans) {
    for (const source of span.sources) tally.found(source, place);
    if (span.blocks !== undefined) return { blocked: span.blocks, pieces: [] };
  }
  return { blocked: undefined, pieces: cutPieces(joined, bounds, spans) };
}

/** The pieces of each text, undefined where nothing of it is cut. @param bounds where the texts begin, and where the last one ends */
function cutPieces(joined: string, bounds: readonly number[], spans: readonly Span[]): (Piece[] | undefined)[] {
  const all: (Piece[] | undefined)[] = [];
  const cuts = spans.filter(({ cut }) => cut);
  let next = 0;
  for (let index = 0; index + 1 < bounds.length; index += 1) {
    const [from, to] = [bounds[index] as number, bounds[index + 1] as number];
    const pieces: Piece[] = [];
    let at = from;
    let changed = false;
    for (let cut = cuts[next]; cut !== undefined && cut.start < to; cut = cuts[next]) {
      const { start, end, label } = cut;
      changed = true;
      if (start > at) pieces.push({ text: joined.slice(at, start), label: undefined });
      if (start >= from) pieces.push({ text: joined.slice(start, end), label });
      at = Math.min(end, to);
      // It goes on in the next text.
      if (end > to) break;
      next += 1;
    }
    if (at < to) pieces.push({ text: joined.slice(at, to), label: undefined });
    all.push(changed ? pieces : undefined);
  }
  return all;
}

/** Whether one of the findings shares something with another one. */
function overlapOf(found: readonly Owned[]): (finding: Owned) => boolean {
  const sorted = found.toSorted((a, b) => a.start - b.start);
  const starts = sorted.map(({ start }) => start);
  // By index: the furthest end of it and all before.
  const ends: number[] = [];
  for (const { end } of sorted) ends.push(Math.max(end, ends.at(-1) ?? 0));
  return ({ start, end }) => (ends[firstAbove(starts, end - 1) - 1] ?? 0) > start;
}

/** The index of the first of the sorted numbers that is above another. */
function firstAbove(sorted: readonly number[], than: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= than) low = middle + 1;
    else high = middle;
  }
  return low;
}

function findingsOf(scanner: Scanner, text: string): { found: Owned[]; sight: Sight | undefined } {
  const { found, sight } = scanWindow(scanner, text, 0, true);
  if (scanner.patterns.length > 0) {
    const patterns = runPatterns(scanner);
    patterns.push(text);
    patterns.end();
    found.push(...patterns.take());
  }
  return { found, sight };
}

/** @returns the judge that blocks the text; what others find is counted */
function judge(
  scanner: Scanner,
  text: string,
  sight: Sight | undefined,
  tally: Tally,
  onlyJoined = false,
): Source | undefined {
  const whole = text.length <= MAX_JUDGED;
  if (!whole) tally.skipped("too-long");
  const judged = whole ? text : text.slice(0, MAX_JUDGED);
  for (const one of scanner.judges) {
    // A text that was put together from others is of no form.
    if (onlyJoined && !one.joins) continue;
    if (!one.fails(judged, whole ? sight : undefined)) continue;
    tally.found(one, scanner.place);
    if (one.action === "block") return one;
  }
  return undefined;
}
