import { type Price, priceAt } from "@weir/pricing";
import { type Candidate, CAPABILITIES, type Capability, permitted } from "./bound.ts";
import { type Grant, showsModel } from "./grant.ts";

/** What a key's holder can expect of a name, whoever of those it may use serves it. */
export interface ModelFacts {
  readonly id: string;
  /** Tokens; 0: unknown, as of output. */
  readonly contextWindow: number;
  readonly maxOutputTokens: number;
  readonly providers: readonly string[];
  /** Of those that state theirs. */
  readonly regions: readonly string[];
  /** What all of them are known to be able to. */
  readonly capabilities: readonly Capability[];
  /** The dearest; undefined where one of them is not known. */
  readonly price: Price | undefined;
}

/** The names that a key may use, for a list. */
export const factsFor = (
  models: readonly { readonly id: string; readonly candidates: readonly Candidate[] }[],
  grant: Grant,
  nowMs: number,
): readonly ModelFacts[] =>
  models
    .filter(({ id }) => showsModel(grant, id))
    .map(({ id, candidates }) =>
      factsOf(
        id,
        candidates.filter((candidate) => permitted(candidate, grant)),
        grant.key.workspace,
        nowMs,
      ),
    );

function factsOf(id: string, serving: readonly Candidate[], workspace: string, nowMs: number): ModelFacts {
  const all = serving.length > 0;
  return {
    id,
    contextWindow: leastKnown(serving.map(({ contextWindow }) => contextWindow)),
    maxOutputTokens: leastKnown(serving.map(({ maxOutputTokens }) => maxOutputTokens)),
    providers: unique(serving.map(({ provider }) => provider)),
    regions: unique(serving.map(({ region }) => region).filter((region) => region !== "")),
    capabilities: CAPABILITIES.filter(
      (name) => all && serving.every(({ capabilities }) => capabilities?.has(name) === true),
    ),
    price: dearest(serving.map(({ plan }) => priceAt(plan, workspace, nowMs))),
  };
}

function leastKnown(limits: readonly number[]): number {
  const known = limits.filter((limit) => limit > 0);
  return known.length === 0 ? 0 : Math.min(...known);
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

function dearest(prices: readonly (Price | undefined)[]): Price | undefined {
  let found: Price | undefined;
  for (const price of prices) {
    if (price === undefined) return undefined;
    if (found === undefined || sumOf(price) > sumOf(found)) found = price;
  }
  return found;
}

const sumOf = ({ inputNanosPerMtok, outputNanosPerMtok }: Price): bigint => inputNanosPerMtok + outputNanosPerMtok;
