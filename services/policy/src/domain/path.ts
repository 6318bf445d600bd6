/**
 * What bounds one request: the path of its key, and what is set for its end user and its tags in the key's workspace. The one place that
 * decides which budgets and limits a request takes from.
 */
import { type AttributeTable, attributesOf, type RequestAttributes } from "@weir/rules";
import type { AttributePolicy, BudgetOnPath, KeyPolicy, LimitOnPath } from "./key-policy.ts";

export interface RequestPath {
  /** From the organization down, then the end user's and the tags'. */
  readonly budgets: readonly BudgetOnPath[];
  readonly limits: readonly LimitOnPath[];
}

/** Combinations of attributes that are kept per state of a key; who uses more of them at a time pays for making them again. */
const MOST_COMBINATIONS = 1000;

const combinations = new WeakMap<KeyPolicy, Map<string, RequestPath>>();

/**
 * The same key and the same attributes give the same object, so that what is derived from a path can be kept by its identity. A key whose
 * workspace bounds no attributes is its own path.
 */
export function pathOf(key: KeyPolicy, request: RequestAttributes): RequestPath {
  const table = key.attributes;
  return table === undefined ? key : pathWith(key, table, request);
}

function pathWith(key: KeyPolicy, table: AttributeTable<AttributePolicy>, request: RequestAttributes): RequestPath {
  const found = attributesOf(table, request);
  if (found.length === 0) return key;
  let known = combinations.get(key);
  if (known === undefined || known.size >= MOST_COMBINATIONS) {
    known = new Map();
    combinations.set(key, known);
  }
  const name = found.map(({ id }) => id).join();
  let path = known.get(name);
  if (path === undefined) {
    path = {
      budgets: [...key.budgets, ...found.flatMap(({ budgets }) => budgets)],
      limits: [...key.limits, ...found.flatMap(({ limits }) => limits)],
    };
    known.set(name, path);
  }
  return path;
}

interface Facts {
  readonly budgets: readonly BudgetOnPath[];
  readonly limits: readonly LimitOnPath[];
  readonly hadBudget: boolean;
}

const facts = new WeakMap<AttributeTable<AttributePolicy>, Facts>();

/** Of all attributes of a workspace together; read with each settlement, so it is worked out once. */
function factsOf(table: AttributeTable<AttributePolicy>): Facts {
  let known = facts.get(table);
  if (known === undefined) {
    known = {
      budgets: table.all.flatMap(({ budgets }) => budgets),
      limits: table.all.flatMap(({ limits }) => limits),
      hadBudget: table.all.some(({ hadBudget }) => hadBudget),
    };
    facts.set(table, known);
  }
  return known;
}

/** All budgets that some request of a key may take from: for when a request's attributes are not known any more. */
export const anyBudgetOf = (key: KeyPolicy): readonly BudgetOnPath[] =>
  key.attributes === undefined ? key.budgets : [...key.budgets, ...factsOf(key.attributes).budgets];

/** Whether a request of a key may have been held somewhere, by what is set now or was before. */
export function mayTakeBudget(key: KeyPolicy): boolean {
  if (key.budgets.length > 0 || key.hadBudget) return true;
  if (key.attributes === undefined) return false;
  const { budgets, hadBudget } = factsOf(key.attributes);
  return budgets.length > 0 || hadBudget;
}

/** What the limits of a key may take for one of its requests, whatever its attributes. */
export interface LimitFacts {
  /** Something that is corrected once it is known what the request used. */
  readonly tokens: boolean;
  /** A slot, to be given back. */
  readonly slots: boolean;
  /** Something of each attempt's provider. */
  readonly provider: "none" | "fail-open" | "fail-closed";
}

const limitFacts = new WeakMap<KeyPolicy, LimitFacts>();

export function limitFactsOf(key: KeyPolicy): LimitFacts {
  let known = limitFacts.get(key);
  if (known === undefined) {
    const limits = key.attributes === undefined ? key.limits : [...key.limits, ...factsOf(key.attributes).limits];
    const perProvider = limits.filter(({ per }) => per === "provider");
    known = {
      tokens: limits.some(({ unit }) => unit.endsWith("tokens")),
      slots: limits.some(({ unit }) => unit === "concurrency"),
      provider:
        perProvider.length === 0
          ? "none"
          : perProvider.some(({ failClosed }) => failClosed)
            ? "fail-closed"
            : "fail-open",
    };
    limitFacts.set(key, known);
  }
  return known;
}
