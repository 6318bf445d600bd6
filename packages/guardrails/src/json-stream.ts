import type { Scanner, Source } from "./scanner.ts";
import { type Piece, TextStream } from "./text-stream.ts";
import type { Tally } from "./verdict.ts";

/** What a piece of JSON text becomes. */
export interface JsonPiece {
  /** As it was written. */
  readonly raw: string;
  /** What it says, where it is to be replaced. */
  readonly value: string;
  /** Undefined: it may be shown. */
  readonly label: string | undefined;
  /** It stood in a string; else (a number) its replacement needs quotes. */
  readonly inString: boolean;
}

/**
 * A text that is JSON, as tools get their arguments: scanned as what it says (`user\u0040host` is an address), while what is let through
 * is as it was written. What stands in no string is scanned, too; a finding never reaches over the end of a string.
 */
export class JsonStream {
  readonly #text: TextStream;
  /** What was given to `#text` and not let through: as it was written, and of each unit how much of that is its own, and whether it stood in a string. */
  #raw = "";
  #sizes: number[] = [];
  #strings: boolean[] = [];
  /** An escape that is not complete. */
  #partial = "";
  #inString = false;

  constructor(scanner: Scanner, tally: Tally) {
    this.#text = new TextStream(scanner, tally);
  }

  get blocked(): Source | undefined {
    return this.#text.blocked;
  }

  push(json: string): JsonPiece[] {
    return this.#written(this.#text.push(this.#read(this.#partial + json)));
  }

  end(): JsonPiece[] {
    const rest = this.#partial;
    this.#partial = "";
    // Cut in an escape: shown as it was cut.
    for (const unit of rest) this.#unit(unit, unit.length);
    const before = this.#written(this.#text.push(rest));
    return [...before, ...this.#written(this.#text.end())];
  }

  #unit(raw: string, size: number): void {
    this.#raw += raw;
    this.#sizes.push(size);
    this.#strings.push(this.#inString);
  }

  #read(json: string): string {
    this.#partial = "";
    let said = "";
    for (let at = 0; at < json.length; ) {
      const character = json.charAt(at);
      if (character !== "\\" || !this.#inString) {
        if (character === '"') {
          // Neither quote belongs to the string.
          const was = this.#inString;
          this.#inString = false;
          this.#unit(character, 1);
          this.#inString = !was;
        } else this.#unit(character, 1);
        said += character;
        at += 1;
        continue;
      }
      const size = json[at + 1] === "u" ? 6 : 2;
      if (at + size > json.length) {
        this.#partial = json.slice(at);
        break;
      }
      const raw = json.slice(at, at + size);
      this.#unit(raw, size);
      said += unescaped(raw);
      at += size;
    }
    return said;
  }

  #written(pieces: readonly Piece[]): JsonPiece[] {
    const written: JsonPiece[] = [];
    let unit = 0;
    let rawAt = 0;
    for (const piece of pieces) {
      for (let from = 0; from < piece.text.length; ) {
        const inString = this.#strings[unit + from] ?? false;
        let to = from;
        let size = 0;
        while (
          to < piece.text.length &&
          (piece.label === undefined || (this.#strings[unit + to] ?? false) === inString)
        ) {
          size += this.#sizes[unit + to] ?? 1;
          to += 1;
        }
        const value = piece.text.slice(from, to);
        const raw = this.#raw.slice(rawAt, rawAt + size);
        // Between strings there is only what holds the JSON together, unless it is a number.
        const label = inString || /\d/.test(value) ? piece.label : undefined;
        written.push({ raw, value, label, inString });
        rawAt += size;
        from = to;
      }
      unit += piece.text.length;
    }
    if (unit > 0) {
      this.#raw = this.#raw.slice(rawAt);
      this.#sizes = this.#sizes.slice(unit);
      this.#strings = this.#strings.slice(unit);
    }
    return written;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

function unescaped(raw: string): string {
  const kind = raw.charAt(1);
  if (kind !== "u") return ESCAPES[kind] ?? kind;
  const code = Number.parseInt(raw.slice(2), 16);
  return Number.isNaN(code) ? "u" : String.fromCharCode(code);
}
