/** More is not kept: it is bounded by its bytes. */
const MOST_CHARACTERS = 4_000_000;

/**
 * What a model wrote in a stream that goes by as bytes, kept so that its tokens can be counted should nobody tell them. Cheap to fill: JSON's
 * escapes are read only when it is asked for.
 */
export class Written {
  readonly #literals: string[] = [];
  readonly #texts: string[] = [];
  #size = 0;

  /** @param inner of a JSON string, between its quotes */
  literal(inner: string): void {
    if (this.#grow(inner)) this.#literals.push(inner);
  }

  text(text: string): void {
    if (this.#grow(text)) this.#texts.push(text);
  }

  /** @returns undefined where it was too much. Pieces of one text are in one: what the model wrote at once is counted at once. */
  texts(): readonly string[] | undefined {
    if (this.#size > MOST_CHARACTERS) return undefined;
    const texts = [unescaped(this.#literals.join("")), this.#texts.join("")];
    return texts.filter((text) => text !== "");
  }

  #grow(piece: string): boolean {
    this.#size += piece.length;
    return this.#size <= MOST_CHARACTERS;
  }
}

function unescaped(literals: string): string {
  if (!literals.includes("\\")) return literals;
  try {
    return JSON.parse(`"${literals}"`) as string;
  } catch {
    // A provider's broken escape: with its backslashes it is counted too high, not too low.
    return literals;
  }
}
