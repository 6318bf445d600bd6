import fc from "fast-check";
import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import { compileSchema } from "./json-schema.ts";

const check = (schema: unknown, value: unknown): string | undefined => compileSchema(JSON.stringify(schema))(value);

test("schemas that could take more than linear time are refused: those that refer to themselves, however far around", () => {
  const twice = { anyOf: [{ items: { $ref: "#/$defs/a" } }, { items: { $ref: "#/$defs/a" } }] };
  const doubling = Object.fromEntries(
    Array.from({ length: 20 }, (_, at) => [
      `d${at}`,
      { allOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] },
    ]),
  );
  for (const schema of [
    { $ref: "#/$defs/a", $defs: { a: twice } },
    { items: { $ref: "#" } },
    { $ref: "#/$defs/a", $defs: { a: { items: { $ref: "#/$defs/b" } }, b: { items: { $ref: "#/$defs/a" } } } },
    { $dynamicRef: "#x" },
    { $ref: "https://example.com/schema" },
    { $ref: "#/$defs/d0", $defs: { ...doubling, d20: { type: "object" } } },
    { type: "string", pattern: "(a)\\1" },
  ])
    expect(() => compileSchema(JSON.stringify(schema)), JSON.stringify(schema)).toThrow(WeirError);
});

test("what refers to something else is taken, and patterns are", () => {
  const schema = {
    type: "array",
    items: { $ref: "#/$defs/name" },
    $defs: { name: { type: "string", pattern: "^[a-z]+$" } },
  };
  expect(check(schema, ["ann", "bob"])).toBeUndefined();
  expect(check(schema, ["Ann"])).toMatch(/pattern$/);
});

test("texts that make backtracking and pairwise comparisons slow take no longer than others", () => {
  const slow = compileSchema('{"type":"string","pattern":"^(a+)+$"}');
  const unique = compileSchema('{"uniqueItems":true}');
  const began = performance.now();
  expect(slow(`${"a".repeat(100_000)}b`)).toBeDefined();
  expect(unique(Array.from({ length: 60_000 }, (_, at) => ({ at })))).toBeUndefined();
  // Backtracking would take longer than the universe is old; 1.8 thousand million comparisons, minutes.
  expect(performance.now() - began).toBeLessThan(20_000);
});

test("any JSON is a schema that is taken or one that is refused", () => {
  fc.assert(
    fc.property(fc.json(), fc.jsonValue(), (schema, value) => {
      try {
        compileSchema(schema)(value);
      } catch (error) {
        expect(error).toBeInstanceOf(WeirError);
      }
    }),
  );
});
