import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { numberedSecrets } from "./index.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-sealing-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("made once by number, listed in order, gone when destroyed; other files are no secrets", () => {
  const keys = join(folder, "keys");
  const secrets = numberedSecrets(keys);
  expect(secrets.numbers()).toEqual([]);
  expect(secrets.read(1)).toBeUndefined();
  expect(secrets.make(10, () => "ten").toString()).toBe("ten");
  expect(secrets.make(10, () => "other").toString()).toBe("ten");
  secrets.make(2, () => "two");
  for (const name of ["0.key", "01.key", "x.key", "3.key.abc", "notes"]) writeFileSync(join(keys, name), "x");
  expect(secrets.numbers()).toEqual([2, 10]);
  secrets.destroy(2);
  secrets.destroy(2);
  expect(secrets.numbers()).toEqual([10]);
  expect(secrets.read(2)).toBeUndefined();
  expect(existsSync(join(keys, "2.key"))).toBe(false);
});

test("the first one may lie elsewhere", () => {
  const first = join(folder, "first.key");
  const secrets = numberedSecrets(join(folder, "keys"), first);
  expect(secrets.make(1, () => "one").toString()).toBe("one");
  expect(readdirSync(folder)).toEqual(["first.key"]);
  secrets.make(2, () => "two");
  expect(secrets.numbers()).toEqual([1, 2]);
  secrets.destroy(1);
  expect(secrets.numbers()).toEqual([2]);
});

test("a folder that cannot be read is an error, not an empty one", () => {
  mkdirSync(join(folder, "x"));
  writeFileSync(join(folder, "x", "keys"), "a file");
  expect(() => numberedSecrets(join(folder, "x", "keys")).numbers()).toThrow("ENOTDIR");
});
