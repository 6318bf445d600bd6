import fc from "fast-check";
import { stringify } from "yaml";
import { expect, test } from "vitest";
import { z } from "zod";
import { checkConfig, ConfigError } from "./index.ts";
import { fileSchema } from "./schema.ts";
import { settingPaths } from "./schema-walk.ts";
import { variableOf } from "./environment.ts";
import { durationMs, listenAddress, sizeBytes } from "./units.ts";

function onlyConfigErrors(text: string, env: Record<string, string> = {}): void {
  try {
    checkConfig(text, "weir.yaml", env, "/srv");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
  }
}

/** Texts with the words of the file in them get deeper than noise. */
const words = fc.constantFrom(
  ..."providers models workspaces http listen api_key env: file: { } [ ] : - , &a *a !!x <<: | > # 60s 1MiB ' \" \t \n __proto__ targets provider kind 1e999 .nan ~".split(
    " ",
  ),
);
const shape = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(
      "echo",
      "60s",
      "1MiB",
      "env:HOME",
      0,
      -1,
      1.5,
      true,
      null,
      Number.NaN,
      "127.0.0.1:0",
      "http://h",
      "http://h/v1",
    ),
    fc.string(),
    fc.dictionary(
      fc.oneof(
        fc.string(),
        fc.constantFrom(...[...settingPaths(fileSchema, {})].flat().map(String), "__proto__", "constructor"),
      ),
      tie("value"),
      { maxKeys: 4 },
    ),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
})).value;
const file = fc.record(
  {
    providers: fc.dictionary(fc.constantFrom("a", "__proto__", "B"), shape),
    models: fc.dictionary(
      fc.constantFrom("a", "__proto__", "m/x"),
      fc.record({ targets: fc.array(shape), price: shape, fallbacks: shape }, { requiredKeys: [] }),
    ),
    workspaces: fc.dictionary(
      fc.constantFrom("default", "x"),
      fc.record({ budgets: shape, limits: shape }, { requiredKeys: [] }),
    ),
    http: shape,
    log: shape,
  },
  { requiredKeys: [] },
);

test("whatever the file holds, a problem is a ConfigError", () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 40 }), (parts) => onlyConfigErrors(parts.join(""))),
    { numRuns: 400 },
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => onlyConfigErrors(text)),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.oneof(file, shape), (value) => onlyConfigErrors(stringify(value))),
    { numRuns: 400 },
  );
});

test("whatever the environment holds, too", () => {
  const names = [...settingPaths(fileSchema, { providers: { a: {} }, models: { a: {} } })].map(variableOf);
  const text = fc.oneof(
    fc.string(),
    shape.map((value) => JSON.stringify(value) ?? ""),
    fc.array(words).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), text), (env) =>
      onlyConfigErrors("providers: { a: { kind: echo } }", env),
    ),
    { numRuns: 400 },
  );
});

test("bombs are refused", () => {
  onlyConfigErrors("[".repeat(100_000));
  onlyConfigErrors(`${"a: {".repeat(5_000)}${"}".repeat(5_000)}`);
  const levels = Array.from(
    { length: 12 },
    (_, index) => `l${index}: &l${index} [${`*l${index - 1},`.repeat(9)}]`,
  ).slice(1);
  expect(() => checkConfig(`l0: &l0 [a,a,a,a]\n${levels.join("\n")}`, "weir.yaml", {}, "/")).toThrow(ConfigError);
  expect(() => checkConfig("x".repeat(5 * 2 ** 20), "weir.yaml", {}, "/")).toThrow(/larger/);
});

test("units read what they were written as, and refuse the rest", () => {
  expect(["250ms", "60s", "1.5m", "1h30m", "7d"].map(durationMs)).toEqual([
    250, 60_000, 90_000, 5_400_000, 604_800_000,
  ]);
  expect([1024, "1KiB", "1.5 MB", "4GiB"].map(sizeBytes)).toEqual([1024, 1024, 1_500_000, 4 * 2 ** 30]);
  expect(listenAddress("localhost:80")).toEqual({ host: "localhost", port: 80 });
  for (const bad of ["", "60", "s", "1x", "-5s", "1s 2", "99999999d"])
    expect(() => durationMs(bad), bad).toThrow(RangeError);
  for (const bad of ["", "-1", "1 potato", "9999999999TiB", "NaN"])
    expect(() => sizeBytes(bad), bad).toThrow(RangeError);
  for (const bad of ["", "host", "a:b", "1.2.3.4:65536", "a b:1", "::1:80"])
    expect(() => listenAddress(bad), bad).toThrow(RangeError);
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const read of [durationMs, sizeBytes, listenAddress]) {
        try {
          read(text);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }
    }),
  );
});

test("no two fixed settings share a variable", () => {
  const names = [...settingPaths(fileSchema, {})].map(variableOf);
  expect(new Set(names).size).toBe(names.length);
  expect(z.safeParse(fileSchema, {}).success).toBe(true);
});
