/** What an evaluator does, as data: a version is one of these, and never changes. All of them are deterministic. */
export type Definition = HeuristicDefinition | SchemaDefinition;

export interface HeuristicDefinition {
  readonly kind: "heuristic";
  /** Each is worth the same. */
  readonly checks: readonly Check[];
  /** The share of checks that must hold, 0 to 1. */
  readonly passAt: number;
}

export type Check =
  /** In Unicode code points; `maxCharacters` 0: no bound. */
  | { readonly check: "length"; readonly minCharacters: number; readonly maxCharacters: number }
  | { readonly check: "no-refusal" }
  /** Texts that are looked for as they are: no patterns, so no text is slow. */
  | {
      readonly check: "keywords";
      readonly all: readonly string[];
      readonly any: readonly string[];
      readonly none: readonly string[];
      readonly matchCase: boolean;
    }
  | { readonly check: "json" }
  /** Equal to the record's reference but for white space at the ends. */
  | { readonly check: "equals-reference" };

export interface SchemaDefinition {
  readonly kind: "schema";
  /** JSON Schema 2020-12, in canonical JSON. */
  readonly schema: string;
}

/** A definition under a name. */
export interface DefinedEvaluator {
  readonly name: string;
  readonly version: number;
  readonly description: string;
  readonly definition: Definition;
}
