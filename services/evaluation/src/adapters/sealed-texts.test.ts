import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { textKeys } from "./sealed-texts.ts";

test("what was sealed comes back, for what it belongs to, and only whole", () => {
  const keys = textKeys(randomBytes(32));
  const sealedKey = keys.make("dataset");
  const key = keys.open(sealedKey, "dataset");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(200), (text, at) => {
      const sealed = key.seal(text, "1");
      expect(key.open(sealed, "1")).toBe(text);
      expect(() => key.open(sealed, "2")).toThrow();
      const changed = Buffer.from(sealed);
      changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ 1;
      expect(() => key.open(changed, "1")).toThrow();
    }),
  );
  expect(() => keys.open(sealedKey, "another")).toThrow();
  expect(() => textKeys(randomBytes(32)).open(sealedKey, "dataset")).toThrow(/seal_key/);
  expect(key.seal("text", "1").includes("text")).toBe(false);
});

test("names are the same under the same key only", () => {
  const secret = randomBytes(32);
  expect(textKeys(secret).keyed("x")).toBe(textKeys(secret).keyed("x"));
  expect(textKeys(secret).keyed("x")).not.toBe(textKeys(randomBytes(32)).keyed("x"));
  expect(textKeys(secret).keyed("x")).toMatch(/^[0-9a-f]{64}$/);
});
