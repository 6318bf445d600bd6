import fc from "fast-check";
import { expect, test } from "vitest";
import { linearTest } from "../src/index.ts";

const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "\\d", "\\w", "\\s", "^", "$", "\\b", "(?:ab)", "-", "\\n");
const piece = fc
  .tuple(atom, fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,3}"))
  .map(([what, many]) => (/^(?:\^|\$|\\b)$/.test(what) ? what : what + many));
const sequence = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(""));
const pattern = fc.array(sequence, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|"));
const text = fc
  .array(fc.constantFrom("a", "b", "ab", "1", "-", " ", "\n", "c"), { maxLength: 12 })
  .map((parts) => parts.join(""));

test("a pattern says of a text what the language's own says", () => {
  fc.assert(
    fc.property(pattern, text, (source, subject) => {
      expect(linearTest(source)(subject)).toBe(new RegExp(source, "u").test(subject));
    }),
    { numRuns: 5_000 },
  );
});

test("what backtracks for ever elsewhere takes a step for each character here", () => {
  const test = linearTest("^(([a-z])+.)+[A-Z]([a-z])+$");
  expect(test("a".repeat(200_000))).toBe(false);
  expect(linearTest("^(a|aa)+$")(`${"a".repeat(200_000)}!`)).toBe(false);
});

test("what has no linear algorithm is refused when it is made", () => {
  for (const source of ["(?=a)b", "(a)\\1", "(?<!x)y", "\\p{L}+"])
    expect(() => linearTest(source)).toThrow(/pattern cannot be used/);
});
