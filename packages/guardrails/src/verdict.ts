import type { Action, Place } from "./rules.ts";

/** What cannot be scanned: bytes of a picture, a file that the provider holds, what a provider sealed, what is too long to judge. */
export type Skipped = "image" | "audio" | "video" | "file" | "reference" | "sealed" | "too-long" | "unknown";

/** What was scanned, what was found in it, and what was not scanned. Holds no text. */
export interface Verdict {
  readonly findings: readonly {
    readonly detector: string;
    readonly action: Action;
    readonly place: Place;
    readonly count: number;
  }[];
  readonly scanned: readonly { readonly place: Place; readonly texts: number; readonly characters: number }[];
  readonly skipped: readonly { readonly what: Skipped; readonly count: number }[];
  /** Whether a rule ended the request. */
  readonly blocked: boolean;
}

/** Counts for the verdict while a request is scanned. */
export class Tally {
  readonly #findings = new Map<string, { detector: string; action: Action; place: Place; count: number }>();
  readonly #scanned = new Map<Place, { place: Place; texts: number; characters: number }>();
  readonly #skipped = new Map<Skipped, number>();
  #blocked = false;

  segment(place: Place): void {
    this.#of(place).texts += 1;
  }

  characters(place: Place, count: number): void {
    this.#of(place).characters += count;
  }

  found(source: { readonly detector: string; readonly action: Action }, place: Place): void {
    const { detector, action } = source;
    const key = `${place} ${action} ${detector}`;
    const known = this.#findings.get(key);
    if (known === undefined) this.#findings.set(key, { detector, action, place, count: 1 });
    else known.count += 1;
    if (action === "block") this.#blocked = true;
  }

  skipped(what: Skipped): void {
    this.#skipped.set(what, (this.#skipped.get(what) ?? 0) + 1);
  }

  verdict(): Verdict {
    return {
      findings: [...this.#findings.values()],
      scanned: [...this.#scanned.values()],
      skipped: [...this.#skipped].map(([what, count]) => ({ what, count })),
      blocked: this.#blocked,
    };
  }

  #of(place: Place): { place: Place; texts: number; characters: number } {
    let known = this.#scanned.get(place);
    if (known === undefined) this.#scanned.set(place, (known = { place, texts: 0, characters: 0 }));
    return known;
  }
}
