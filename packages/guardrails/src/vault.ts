/**
 * The values of one request that the model must not see, by their placeholders. A placeholder stands for one value and is put back only
 * where Weir issued it: a text of that form that the client (or a document) wrote itself is never one of them, and so is never replaced.
 */

const FORM = /\[[A-Z][A-Z_]{0,30}_\d{1,6}\]/g;
/** [, a label, a number, ]. */
export const LONGEST_PLACEHOLDER = 40;

export class Vault {
  readonly #taken = new Set<string>();
  readonly #byValue = new Map<string, string>();
  readonly #values = new Map<string, string>();
  readonly #masks = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** MUST be told all texts of the request before the first placeholder is issued. */
  reserve(text: string): void {
    if (!text.includes("[")) return;
    for (const [written] of text.matchAll(FORM)) this.#taken.add(written);
  }

  /** The same for the same value, numbered by label in the order of the request. */
  placeholder(label: string, value: string): string {
    const key = `${label} ${value}`;
    const known = this.#byValue.get(key);
    if (known !== undefined) return known;
    const issued = this.#next(label);
    this.#byValue.set(key, issued);
    this.#values.set(issued, value);
    return issued;
  }

  /** For what a model said: it is never put back. The same for the same value, so that a text and its repetition in a stream agree. */
  mask(label: string, value: string): string {
    const key = `${label} ${value}`;
    let issued = this.#masks.get(key);
    if (issued === undefined) this.#masks.set(key, (issued = this.#next(label)));
    return issued;
  }

  /** Whether there is anything to put back. */
  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  value(placeholder: string): string | undefined {
    return this.#values.get(placeholder);
  }

  #next(label: string): string {
    for (let number = (this.#counts.get(label) ?? 0) + 1; ; number += 1) {
      const placeholder = `[${label}_${number}]`;
      if (this.#taken.has(placeholder)) continue;
      this.#counts.set(label, number);
      return placeholder;
    }
  }
}

/** Puts values back into an answer that comes in pieces; holds back what may be the start of a placeholder. */
export class Restorer {
  readonly #vault: Vault;
  readonly #written: (value: string) => string;
  #held = "";

  /** @param written how a value is written in the text: as it is, or escaped for a JSON string */
  constructor(vault: Vault, written: (value: string) => string = (value) => value) {
    this.#vault = vault;
    this.#written = written;
  }

  push(text: string): string {
    if (this.#vault.isEmpty) return text;
    const all = this.#held + text;
    let out = "";
    let from = 0;
    this.#held = "";
    for (let open = all.indexOf("["); open !== -1; open = all.indexOf("[", open + 1)) {
      const close = endOf(all, open);
      if (close === all.length) {
        this.#held = all.slice(open);
        return out + all.slice(from, open);
      }
      const value = this.#vault.value(all.slice(open, close + 1));
      if (value === undefined) continue;
      out += all.slice(from, open) + this.#written(value);
      from = close + 1;
    }
    return out + all.slice(from);
  }

  end(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}

/** Where the placeholder that begins at `open` ends; `open` where it is none, the text's length where more of it may come. */
function endOf(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length && at - open < LONGEST_PLACEHOLDER) {
    const code = text.charCodeAt(at);
    if (code === 93) return at;
    if (!((code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95)) return open;
    at += 1;
  }
  return at === text.length ? at : open;
}
