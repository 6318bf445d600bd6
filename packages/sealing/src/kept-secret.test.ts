import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keptSecret, privateKeyOf, readSecret } from "./index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-sealing-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("made once, for its owner only, and then kept", () => {
  const path = join(folder, "new", "some.key");
  expect(readSecret(path)).toBeUndefined();
  expect(keptSecret(path, () => "first").toString()).toBe("first");
  expect(keptSecret(path, () => "second").toString()).toBe("first");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, "new"))).toEqual(["some.key"]);
});

test("of two that make it at once, both have the same", () => {
  const path = join(folder, "some.key");
  const outer = keptSecret(path, () => keptSecret(path, () => "inner"));
  expect(outer.toString()).toBe("inner");
  expect(readdirSync(folder)).toEqual(["some.key"]);
});

test("what cannot be read is an error, not a new secret", () => {
  const path = join(folder, "some.key");
  writeFileSync(path, "old");
  chmodSync(path, 0o600);
  expect(() => keptSecret(join(path, "below"), () => "new")).toThrow("ENOTDIR");
  expect(readSecret(path)?.toString()).toBe("old");
});

test("a text that is no private key is refused without being quoted", () => {
  for (const text of ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"]) {
    expect(() => privateKeyOf(text)).toThrow(/^not a private key in PEM$/);
  }
});
