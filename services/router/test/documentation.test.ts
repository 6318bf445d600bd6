import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { loadKind } from "../src/providers/registry.ts";

const page = readFileSync(new URL("../../../docs/providers.md", import.meta.url), "utf8");
const configuration = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
const folder = new URL("../src/providers/", import.meta.url);

async function kinds(): Promise<string[]> {
  const names: string[] = [];
  for (const file of readdirSync(folder)) {
    const module = (await import(new URL(file, folder).href)) as { kinds?: object };
    names.push(...Object.keys(module.kinds ?? {}));
  }
  return names.toSorted();
}

/** What stands in backticks in the first cells of the tables below a line. */
const firstCells = (text: string, head: string): string[] => {
  const tables = text.split(new RegExp(`^\\| ${head} \\|.*$`, "m")).slice(1);
  const rows = tables.flatMap((table) => /^(?:\n\|.*$)+/m.exec(table)?.[0].split("\n") ?? []);
  return rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
};

test("docs/providers.md has every kind, and no other", async () => {
  expect(firstCells(page, "kind").toSorted()).toEqual(await kinds());
});

test("docs/providers.md has every setting, and no other", async () => {
  const settings = new Set<string>();
  for (const kind of await kinds())
    for (const setting of Object.keys((await loadKind(kind)).settings ?? {})) settings.add(setting);
  expect(firstCells(page, "setting").toSorted()).toEqual([...settings].toSorted());
});

test("docs/configuration.md names every kind", async () => {
  const row = /^\| `kind` \|.*$/m.exec(configuration)?.[0] ?? "";
  expect((await kinds()).filter((kind) => !row.includes(`\`${kind}\``))).toEqual([]);
});
