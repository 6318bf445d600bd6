import { UsageError } from "../command.ts";

/** What was measured, by evaluator. */
export type Measures = ReadonlyMap<string, Readonly<Record<string, number | undefined>>>;

/** One comparison; conditions are lists of lists of them: any of the lists, all in a list. */
interface Comparison {
  /** Undefined: any evaluator. */
  readonly evaluator: string | undefined;
  readonly measure: string;
  readonly operator: Operator;
  readonly bound: number;
}

export type Condition = readonly (readonly Comparison[])[];

const OPERATORS = {
  "<": (value: number, bound: number) => value < bound,
  "<=": (value: number, bound: number) => value <= bound,
  ">": (value: number, bound: number) => value > bound,
  ">=": (value: number, bound: number) => value >= bound,
} as const;
type Operator = keyof typeof OPERATORS;

export const MEASURES = [
  "passed",
  "failed",
  "not_evaluable",
  "unjudged",
  "pass_rate",
  "mean_score",
  "length_controlled_score",
  "kappa",
  "pairs",
  "unpaired",
  "lost",
  "gained",
  "p_value",
  "mean_difference",
  "low",
  "high",
  "length_controlled_difference",
  "length_controlled_low",
  "length_controlled_high",
] as const;

const COMPARISON = /^(?:([a-z][a-z0-9-]{0,62})\.)?([a-z_]{1,40})\s*(<=|>=|<|>)\s*(-?(?:\d{1,12})(?:\.\d{1,12})?)$/;
const LONGEST = 1_000;

/**
 * "lost > 3", "p_value < 0.05 and mean_difference < 0 or judge.unjudged > 10": comparisons joined by `and`, which binds closer, and `or`. A comparison
 * names an evaluator, or holds where it holds for any.
 * @throws UsageError
 */
export function parseCondition(text: string): Condition {
  if (text.length > LONGEST) throw new UsageError(`--fail-if is longer than ${LONGEST} characters`);
  return text.split(/\bor\b/).map((all) => all.split(/\band\b/).map((one) => parseComparison(one.trim())));
}

function parseComparison(text: string): Comparison {
  const [, evaluator, measure = "", operator, bound] = COMPARISON.exec(text) ?? [];
  if (operator === undefined)
    throw new UsageError(`--fail-if: "${text}" is no comparison like lost > 3 or judge.p_value < 0.05`);
  if (!MEASURES.some((name) => name === measure))
    throw new UsageError(`--fail-if: ${measure} is none of ${MEASURES.join(", ")}`);
  return { evaluator, measure, operator: operator as Operator, bound: Number(bound) };
}

/**
 * Why the gate is shut: the comparisons that hold, with their values. What was not measured (a p-value without a baseline) shuts it, too: nobody knows
 * whether it is good.
 * @returns empty: it is open
 */
export function failuresOf(condition: Condition, measures: Measures): string[] {
  return condition.flatMap((all) => {
    const reasons = all.map((one) => reasonOf(one, measures));
    return reasons.every((reason) => reason !== undefined) ? [reasons.join(" and ")] : [];
  });
}

function reasonOf({ evaluator, measure, operator, bound }: Comparison, measures: Measures): string | undefined {
  const asked = [...measures].filter(([name]) => evaluator === undefined || name === evaluator);
  if (asked.length === 0) return `${evaluator ?? "no evaluator"} did not judge`;
  for (const [name, values] of asked) {
    const value = values[measure];
    if (value === undefined) return `${name}.${measure} is not known`;
    if (OPERATORS[operator](value, bound)) return `${name}.${measure} is ${value} (${operator} ${bound})`;
  }
  return undefined;
}
