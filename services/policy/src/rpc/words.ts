import { WeirError } from "@weir/kernel";

/** Words of the domain and the numbers they have on the wire. */
export interface Words<W extends string, N extends number> {
  readonly toWire: (word: W) => N;
  /** @throws WeirError for a number that is no word; `param` is the field's name */
  readonly fromWire: (number: N, param: string) => W;
}

export function words<W extends string, N extends number>(numbers: Record<W, N>): Words<W, N> {
  const byNumber = new Map<number, W>(Object.entries<N>(numbers).map(([word, number]) => [number, word as W]));
  return {
    toWire: (word) => numbers[word],
    fromWire(number, param) {
      const word = byNumber.get(number);
      if (word === undefined) throw new WeirError("invalid_request", `${param} is missing or not known.`, { param });
      return word;
    },
  };
}
