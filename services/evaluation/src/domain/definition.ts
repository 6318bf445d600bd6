/** What an evaluator does, as data: a version is one of these, and never changes. */
export type Definition =
  | HeuristicDefinition
  | SchemaDefinition
  | JudgeDefinition
  | SimilarityDefinition
  | WebhookDefinition;

/** Decided here and now: the same record always gets the same assessment. */
export type PureDefinition = HeuristicDefinition | SchemaDefinition;

/** Somebody else is asked, once for each content; what was said counts ever after. */
export type AskingDefinition = JudgeDefinition | SimilarityDefinition | WebhookDefinition;

export const isPure = (definition: Definition): definition is PureDefinition =>
  definition.kind === "heuristic" || definition.kind === "schema";

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

export interface JudgeDefinition {
  readonly kind: "judge";
  /** Of the words around the rubric (judging/prompt.ts): other words are another behaviour. */
  readonly edition: number;
  readonly model: string;
  readonly rubric: string;
  /** Alone, or beside another answer in both orders. */
  readonly against: "nothing" | "reference" | "baseline";
  readonly passAt: number;
  /** Undefined: not sent. */
  readonly temperature?: number | undefined;
  readonly maxOutputTokens: number;
}

export interface SimilarityDefinition {
  readonly kind: "similarity";
  readonly model: string;
  readonly passAt: number;
  /** 0: as many as the model has. */
  readonly dimensions: number;
}

export interface WebhookDefinition {
  readonly kind: "webhook";
  readonly url: string;
  /** The name of one that the operator configured; "": unsigned. */
  readonly secret: string;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly passAt: number;
}

/** A definition under a name. */
export interface DefinedEvaluator {
  readonly name: string;
  readonly version: number;
  readonly description: string;
  readonly definition: Definition;
}
