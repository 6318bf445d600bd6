import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeirError } from "@weir/kernel";
import type { Json, JsonObject } from "./core.ts";
import { keyProblem, withPlainKeys } from "./json-keys.ts";
import { type JsonChanges, spliceJson } from "./json-splice.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const splice = (text: string, changes: JsonChanges): string =>
  decoder.decode(spliceJson(encoder.encode(text), changes));

/**
 * JSON text with spaces wherever they may be and any character of a key or string escaped, as a client may write it.
 * Keys with backslashes are left out: after one, this version of V8 misreads another key of the same process that is written with
 * escapes, so that JSON.parse is no measure.
 */
const written = (value: Json, seed: () => number): string => {
  const gap = (): string => ["", "", " ", "\n\t", "\r\n"][seed() % 5] ?? "";
  const quoted = (text: string): string =>
    `"${Array.from(JSON.stringify(text).slice(1, -1))
      .map((c, at, all) =>
        seed() % 7 === 0 && /[a-z]/.test(c) && !all.slice(Math.max(0, at - 5), at).includes("\\")
          ? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
          : c,
      )
      .join("")}"`;
  if (typeof value === "string") return quoted(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((v) => gap() + written(v, seed) + gap()).join(",")}]`;
  const members = Object.entries(value).map(
    ([k, v]) => `${gap()}${quoted(k)}${gap()}:${gap()}${written(v, seed)}${gap()}`,
  );
  return `{${members.length === 0 ? gap() : members.join(",")}}`;
};

const key = fc.oneof(
  fc.constantFrom("model", "max_tokens", "stream_options", "include_usage", "a", "ünï"),
  fc.string({ maxLength: 5 }).filter((k) => k !== "__proto__" && k.toLowerCase() === k && !/["\\\p{Cc}]/u.test(k)),
);
const json = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null)),
    tie("object"),
    fc.array(tie("value"), { maxLength: 3 }),
  ),
  object: fc.dictionary(key, tie("value"), { maxKeys: 6, noNullPrototype: true }) as fc.Arbitrary<JsonObject>,
}));
const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

describe("spliceJson", () => {
  it("equals parsing, changing and encoding, for any object, spacing and escapes", () => {
    const paths = ["model", "max_tokens", "a", "stream_options.include_usage", "stream_options.a.model"];
    fc.assert(
      fc.property(
        json.object,
        fc.dictionary(fc.constantFrom(...paths), fc.option(json.value, { nil: undefined })),
        fc.infiniteStream(fc.nat(1000)),
        (object, wanted, random) => {
          const seed = (): number => random.next().value ?? 0;
          const changes: Record<string, string | undefined> = {};
          const expected = structuredClone(object);
          for (const [path, value] of Object.entries(wanted)) {
            changes[path] = value === undefined ? undefined : JSON.stringify(value);
            let at = expected;
            const names = path.split(".");
            const last = names.pop() ?? "";
            let missing = false;
            for (const name of names) {
              const inner = Object.hasOwn(at, name) ? at[name] : undefined;
              if (!isObject(inner) && value === undefined) missing = true;
              if (missing) break;
              const next = isObject(inner) ? inner : {};
              at[name] = next;
              at = next;
            }
            if (missing) continue;
            if (value === undefined) delete at[last];
            else at[last] = value;
          }
          const text = written(object, seed);
          expect(JSON.parse(splice(text, changes))).toEqual(JSON.parse(JSON.stringify(expected)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("leaves every other byte as it is", () => {
    expect(splice('{ "x" : 1.0e2 ,\n"model":"a" , "y":[ 1,2 ] }', { model: '"b"' })).toBe(
      '{ "x" : 1.0e2 ,\n"model":"b" , "y":[ 1,2 ] }',
    );
    expect(splice('{"a":1, "b":2, "c":3}', { b: undefined })).toBe('{"a":1, "c":3}');
    expect(splice('{"a":1, "b":2, "c":3}', { b: undefined, c: undefined, d: "4" })).toBe('{"a":1,"d":4}');
    expect(splice("{}", { "stream_options.include_usage": "true" })).toBe('{"stream_options":{"include_usage":true}}');
    expect(splice('{"stream_options":null}', { "stream_options.include_usage": "true" })).toBe(
      '{"stream_options":{"include_usage":true}}',
    );
  });

  it("returns the same bytes where nothing changes", () => {
    const bytes = encoder.encode('{"a":{"b":[1,"}"]}}');
    expect(spliceJson(bytes, { x: undefined })).toBe(bytes);
  });

  it("leaves no second spelling of a changed key", () => {
    expect(splice('{"model":"x","mod\\u0065l":"y","Model":"z","m":0}', { model: '"ok"' })).toBe(
      '{"model":"ok","mod\\u0065l":"ok","Model":"ok","m":0}',
    );
    expect(splice('{"MODEL":"z"}', { model: '"ok"' })).toBe('{"MODEL":"ok","model":"ok"}');
    expect(splice('{"max_token\u017f":9,"max_tokens":1,"to\u212aen":3}', { max_tokens: "5", token: undefined })).toBe(
      '{"max_token\u017f":5,"max_tokens":5}',
    );
    expect(splice('{"maxoutputtokens":9}', { maxOutputTokens: "5" })).toBe('{"maxoutputtokens":5,"maxOutputTokens":5}');
  });

  it("refuses what is no object, and never fails otherwise", () => {
    for (const text of ["", "[]", "1", '"x"', "{", '{"a"', '{"a":', '{"a":1', '{"a":1,', "{a:1}", '{"a":[}'])
      expect(() => splice(text, { a: "1" })).toThrow(WeirError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.string(), (bytes, text) => {
        for (const input of [bytes, encoder.encode(`{"a":${text}}`), encoder.encode(`{"${text}":1}`)]) {
          try {
            spliceJson(input, { a: "1", "b.c": "2" });
          } catch (error) {
            expect(error).toBeInstanceOf(WeirError);
          }
        }
      }),
    );
  });
});

describe("keyProblem", () => {
  const problem = (text: string): string | undefined => keyProblem(encoder.encode(text), JSON.parse(text) as Json);
  it("finds members of one name at any depth, and names with escapes, which JSON.parse itself may misread", () => {
    expect(problem('{"a":1,"a":2}')).toBe("twice");
    expect(problem('{"m":[{"content":"x","cont\\u0065nt":"y"}]}')).toBe("twice");
    expect(problem('{"m":[{"cont\\u0065nt":"y"}]}')).toBe("escaped");
    expect(problem('{"a":":","b":[{"a":1},{"a":"{\\":"}]}')).toBeUndefined();
  });
  it("finds none in what JSON.stringify wrote", () => {
    fc.assert(fc.property(json.object, (object) => problem(JSON.stringify(object)) === undefined));
  });
});

describe("withPlainKeys", () => {
  const plain = (text: string): string => decoder.decode(withPlainKeys(encoder.encode(text)));
  it("writes names plainly, and leaves all else as it is", () => {
    expect(plain('{ "gr\\u00f6\\u00dfe" : 1.0, "s":"\\u00f6: \\"x\\"", "a\\/b":[{"\\ud83c\\udf0a":1e2}] }')).toBe(
      '{ "größe" : 1.0, "s":"\\u00f6: \\"x\\"", "a/b":[{"🌊":1e2}] }',
    );
  });
  it("keeps what cannot be written plainly", () => {
    expect(plain('{"a\\"b":{"c\\\\d":1},"\\u000a":2}')).toBe('{"a\\"b":{"c\\\\d":1},"\\n":2}');
  });
  it("shows two members of one name for what they are", () => {
    const text = plain('{"model":1,"mod\\u0065l":2}');
    expect(keyProblem(encoder.encode(text), JSON.parse(text) as Json)).toBe("twice");
  });
  it("means the same, and gives plain bytes back as they are", () => {
    const escaped = (object: object): string =>
      JSON.stringify(object).replace(
        /[\u0080-\uffff]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.string(), { maxKeys: 5 }), (object) => {
        const text = plain(escaped(object));
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(object)));
      }),
    );
    const bytes = encoder.encode('{"a":"\\u0061"}');
    expect(withPlainKeys(bytes)).toBe(bytes);
  });
});

it("looks at a body that is nested deeper than the call stack, like at any other", () => {
  const depth = 200_000;
  const text = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  expect(keyProblem(new TextEncoder().encode(text), JSON.parse(text))).toBeUndefined();
});
