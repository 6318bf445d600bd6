import fc from "fast-check";
import { expect, test } from "vitest";
import { matches, mergeRules, NO_RULES, ruleProblem, type Rules } from "./rules.ts";

const name = fc.string({ unit: fc.constantFrom("a", "b", "-"), minLength: 1, maxLength: 4 });
const pattern = fc
  .tuple(fc.string({ unit: fc.constantFrom("a", "b", "-"), maxLength: 3 }), fc.constantFrom("", "*"))
  .map(([a, b]) => a + b);
const list = fc.array(pattern, { maxLength: 4 });
const rules: fc.Arbitrary<Rules> = fc.record({
  allowedModels: list,
  deniedModels: list,
  allowedProviders: list,
  allowedRegions: list,
  maxInputTokens: fc.nat(5),
  maxOutputTokens: fc.nat(5),
});
const allows = (patterns: readonly string[], one: string): boolean =>
  patterns.length === 0 || patterns.some((p) => matches(p, one));
const under = (cap: number, tokens: number): boolean => cap === 0 || tokens <= cap;

test("the merged rules allow exactly what every level allows", () => {
  fc.assert(
    fc.property(fc.array(rules, { maxLength: 3 }), name, fc.nat(6), (levels, one, tokens) => {
      const merged = mergeRules(levels);
      for (const field of ["allowedModels", "allowedProviders", "allowedRegions"] as const) {
        expect(allows(merged[field], one)).toBe(levels.every((level) => allows(level[field], one)));
      }
      expect(merged.deniedModels.some((p) => matches(p, one))).toBe(
        levels.some((level) => level.deniedModels.some((p) => matches(p, one))),
      );
      for (const cap of ["maxInputTokens", "maxOutputTokens"] as const) {
        expect(under(merged[cap], tokens)).toBe(levels.every((level) => under(level[cap], tokens)));
      }
    }),
    { numRuns: 1000 },
  );
});

test("levels with nothing in common allow nothing, which is not an empty list", () => {
  const merged = mergeRules([
    { ...NO_RULES, allowedModels: ["gpt-*"] },
    { ...NO_RULES, allowedModels: ["claude-3"] },
  ]);
  expect(merged.allowedModels).toEqual([""]);
});

test('a "*" anywhere but at the end is refused', () => {
  expect(ruleProblem({ ...NO_RULES, deniedModels: ["gpt-*-mini"] })?.param).toBe("denied_models");
  expect(ruleProblem({ ...NO_RULES, allowedModels: ["gpt-*", "*", ""] })).toBe(undefined);
});
