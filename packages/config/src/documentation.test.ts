import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { fileSchema } from "./schema.ts";
import { settingPaths } from "./schema-walk.ts";

const page = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
const named = {
  providers: { n: {} },
  models: { n: {} },
  workspaces: { n: {} },
  contracts: { n: {} },
  guardrails: { n: {} },
};
const isLeaf = (path: string, all: readonly string[]): boolean => !all.some((other) => other.startsWith(`${path}.`));

test("docs/configuration.md names every setting", () => {
  const paths = [...settingPaths(fileSchema, named)].map((path) => path.join("."));
  const settings = paths
    .filter((path) => isLeaf(path, paths))
    .map((path) => path.replace(/^(providers|models|workspaces|contracts|guardrails)\.n\.?/, ""))
    .filter((path) => path !== "");
  expect(settings.filter((setting) => !page.includes(`\`${setting}\``))).toEqual([]);
});

test("docs/configuration.md names no other setting", () => {
  const known = new Set(
    [...settingPaths(fileSchema, named)].map((path) =>
      path.join(".").replace(/^(providers|models|workspaces|contracts|guardrails)\.n\./, ""),
    ),
  );
  const cells = [...page.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell = ""]) => cell);
  const stated = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
  expect(stated.length).toBeGreaterThan(40);
  expect(stated.filter((name) => !known.has(name))).toEqual([]);
});

test("docs/configuration.md states the defaults that are in force", () => {
  const documented = [...page.matchAll(/^\| `([a-z_.]+)`(?: ◆)? \| `([^`]+)` \|/gm)];
  const defaults: unknown = z.parse(fileSchema, {
    providers: { n: { kind: "echo", health_check: { path: "/" } } },
    models: {
      n: {
        targets: [{ provider: "n", model: "m" }],
        hedge: { after: "p95" },
        cache: { ttl: "5m", semantic: { embedding_model: "e" } },
        shadow: { provider: "n", model: "m", percent: 5, key_id: "0199e5a0-0000-7000-8000-000000000000" },
        price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 },
      },
    },
    workspaces: { n: {} },
    contracts: { n: { provider: "n", discount_percent: 1 } },
    guardrails: { n: { rules: [{ detect: "email", action: "flag" }] } },
  });
  const at = (path: string): unknown =>
    path
      .split(".")
      .reduce<unknown>(
        (value, name) => (typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined),
        defaults,
      );
  const valueOf = (setting: string): unknown =>
    at(setting) ??
    at(`providers.n.${setting}`) ??
    at(`models.n.${setting}`) ??
    at(`workspaces.n.${setting}`) ??
    at(`contracts.n.${setting}`) ??
    at(`guardrails.n.${setting}`);
  expect(documented.length).toBeGreaterThan(20);
  for (const [, setting = "", text = ""] of documented) {
    // Said once in the file's own terms, once in what it means.
    const section = z.safeParse(fileSchema, nest(setting, text));
    if (section.success) expect(valueOf(setting), setting).toEqual(pick(section.data, setting));
    else
      expect(
        JSON.stringify(valueOf(setting), (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value)),
        setting,
      ).toBe(meaning(text));
  }
});

const DURATION = { ms: 1, s: 1_000, m: 60_000 } as const;
function meaning(text: string): string {
  const [, amount, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  if (amount !== undefined) return String(Number(amount) * DURATION[unit as keyof typeof DURATION]);
  const [, percent] = /^(\d+)%$/.exec(text) ?? [];
  if (percent !== undefined) return String(Number(percent) / 100);
  return /^(\d|true|false|\[|\{)/.test(text) ? text : JSON.stringify(text);
}
const nest = (setting: string, text: string): unknown =>
  setting
    .split(".")
    .reduceRight<unknown>(
      (value, name) => ({ [name]: value }),
      /^\d+$/.test(text) ? Number(text) : text === "true" || text === "false" ? text === "true" : text,
    );
const pick = (value: unknown, setting: string): unknown =>
  setting
    .split(".")
    .reduce<unknown>(
      (held, name) => (typeof held === "object" && held !== null ? Reflect.get(held, name) : undefined),
      value,
    );
