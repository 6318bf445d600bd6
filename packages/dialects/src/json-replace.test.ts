import fc from "fast-check";
import { expect, test } from "vitest";
import type { Json } from "./core.ts";
import { replaceJson } from "./json-replace.ts";

const replaced = (json: string, replacements: Parameters<typeof replaceJson>[1]): string =>
  new TextDecoder().decode(replaceJson(new TextEncoder().encode(json), replacements));

test("only what is named changes, byte by byte", () => {
  const json = ' { "a" : [ 1.0, {"b\\u0062": "x\\"]}", "c":null} ,[]],"é":{"a":"keep"}, "a":["again"] } ';
  expect(
    replaced(json, [
      { path: ["a", 1, "bb"], json: '"new"' },
      { path: ["a", 0], json: '"zero"' },
      { path: ["nowhere", 3], json: "1" },
    ]),
  ).toBe(' { "a" : [ "zero", {"b\\u0062": "new", "c":null} ,[]],"é":{"a":"keep"}, "a":["zero"] } ');
});

/** All paths to strings. */
function paths(value: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value === "string") return [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    paths(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function setAt(value: Json, path: readonly (string | number)[], text: string): Json {
  const [step, ...rest] = path;
  if (step === undefined) return text;
  if (Array.isArray(value)) return value.map((item, index) => (index === step ? setAt(item, rest, text) : item));
  const copy = value as Record<string, Json>;
  return Object.fromEntries(
    Object.entries(copy).map(([key, inner]) => [key, key === step ? setAt(inner, rest, text) : inner]),
  );
}

test("it reads as the same value with the strings changed", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), fc.integer({ min: 0, max: 3 }), (value, text, indent) => {
      const some = paths(value as Json).filter((_path, index) => index % 2 === 0 && !_path.includes("__proto__"));
      const json = JSON.stringify(value, undefined, indent);
      const out = replaced(
        json,
        some.map((path) => ({ path, json: JSON.stringify(text) })),
      );
      expect(JSON.parse(out)).toEqual(some.reduce((all, path) => setAt(all, path, text), JSON.parse(json) as Json));
    }),
  );
});
