import fc from "fast-check";
import { expect, test } from "vitest";
import { UsageError } from "../command.ts";
import { failuresOf, MEASURES, parseCondition } from "./gate.ts";

const measures = new Map([
  ["judge", { lost: 4, gained: 1, p_value: 0.03, mean_difference: -0.1, pass_rate: 0.9, kappa: undefined }],
  ["polite", { lost: 0, gained: 0, p_value: 1, mean_difference: 0, pass_rate: 1 }],
]);
const shut = (text: string): string[] => failuresOf(parseCondition(text), measures);

test.each([
  ["lost > 3", ["judge.lost is 4 (> 3)"]],
  ["lost > 4", []],
  ["polite.lost > 3", []],
  [
    "p_value < 0.05 and mean_difference < 0",
    ["judge.p_value is 0.03 (< 0.05) and judge.mean_difference is -0.1 (< 0)"],
  ],
  ["p_value < 0.05 and gained > 3", []],
  ["polite.pass_rate<0.95 or judge.pass_rate<=0.9", ["judge.pass_rate is 0.9 (<= 0.9)"]],
  // Nobody knows: it is not let through.
  ["kappa < 0.5", ["judge.kappa is not known"]],
  ["nobody.lost > 0", ["nobody did not judge"]],
])("%s", (text, failures) => {
  expect(shut(text)).toEqual(failures);
});

test("what is no condition is told so", () => {
  for (const text of ["", "lost", "lost > ", "lost = 3", "lots > 3", "lost > 3 and", "lost > 1e3", "a".repeat(2_000)])
    expect(() => parseCondition(text), text).toThrow(UsageError);
});

test("any text is a condition or a usage error, and and binds closer than or", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseCondition(text);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
  );
  const comparison = fc.tuple(
    fc.constantFrom(...MEASURES),
    fc.constantFrom("<", "<=", ">", ">="),
    fc.integer({ min: -9, max: 9 }),
  );
  const all = fc.array(comparison, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(all, { minLength: 1, maxLength: 3 }), (lists) => {
      const text = lists.map((list) => list.map((one) => one.join(" ")).join(" and ")).join(" or ");
      const values = Object.fromEntries(MEASURES.map((name, at) => [name, (at % 7) - 3]));
      const holds = lists.some((list) =>
        list.every(([name, operator, bound]) => {
          const value = values[name] ?? 0;
          return operator === "<"
            ? value < bound
            : operator === "<="
              ? value <= bound
              : operator === ">"
                ? value > bound
                : value >= bound;
        }),
      );
      expect(failuresOf(parseCondition(text), new Map([["one", values]])).length > 0).toBe(holds);
    }),
  );
});
