import { expect, test } from "vitest";
import { jsonSchemaCheck } from "./json-schema-check.ts";

const check = (schema: Record<string, unknown>) => jsonSchemaCheck("shape", schema);

test("an answer is JSON of the schema, fenced or not", () => {
  const passes = check({ type: "object", required: ["city"], properties: { city: { type: "string" } } });
  expect(['{"city":"Oslo"}', ' ```json\n{"city":"Oslo"}\n```\n', '{"town":"Oslo"}', "Oslo", ""].map(passes)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("patterns of one schema are told from each other, and are of the whole text", () => {
  const passes = check({
    properties: { a: { pattern: "^[a-z]*$" }, b: { pattern: "^\\d+$" } },
    patternProperties: { "^x-": { type: "number" } },
  });
  const of = (value: unknown): boolean => passes(JSON.stringify(value));
  expect(of({ a: "abc", b: "12", "x-y": 1 })).toBe(true);
  expect(of({ a: "", b: "12" })).toBe(true);
  expect(of({ a: "12" })).toBe(false);
  expect(of({ a: "abc\n1" })).toBe(false);
  expect(of({ b: "abc" })).toBe(false);
  expect(of({ "x-y": "1" })).toBe(false);
});

test("no answer makes it slow", () => {
  const hostile = check({
    type: "object",
    properties: { text: { pattern: "^(([a-z])+.)+[A-Z]([a-z])+$" }, list: { type: "array", uniqueItems: true } },
  });
  expect(hostile(JSON.stringify({ text: "a".repeat(200_000) }))).toBe(false);
  // Each pair compared would be half a billion.
  const list = Array.from({ length: 30_000 }, (_, at) => ({ a: { b: at } }));
  expect(hostile(JSON.stringify({ list }))).toBe(true);
  expect(hostile(JSON.stringify({ list: [...list, { a: { b: 7 } }] }))).toBe(false);
  expect(
    hostile(
      JSON.stringify({
        list: [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
      }),
    ),
  ).toBe(false);
  expect(hostile(`${"[".repeat(50_000)}${"]".repeat(50_000)}`)).toBe(false);
});

test("what cannot be used is refused when the service starts, with its guardrail's name", () => {
  for (const schema of [{ type: "no type" }, { pattern: "(?=a)" }, { enum: ["x".repeat(70_000)] }])
    expect(() => check(schema)).toThrow(/guardrail "shape"/);
});
