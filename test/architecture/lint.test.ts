import { expect, test } from "vitest";
import { z } from "zod";
import { plantedTree, runJson } from "./planted-tree.ts";

/** Rule, where it must fire, and what it must catch there. */
const PLANTS: readonly (readonly [rule: string, file: string, text: string])[] = [
  ["purity(no-clock)", "services/policy/src/domain/planted-clock.ts", "export const x = new Date();"],
  ["purity(no-clock)", "packages/pricing/src/planted-clock.ts", "export const x = Date();"],
  ["eslint(no-restricted-properties)", "services/policy/src/domain/planted-now.ts", "export const x = Date.now();"],
  ["eslint(no-restricted-properties)", "packages/proofs/src/planted-random.ts", "export const x = Math.random();"],
  ["eslint(no-restricted-globals)", "services/router/src/domain/planted-env.ts", "export const x = process.env;"],
  ["eslint(no-restricted-globals)", "packages/dialects/src/planted-buffer.ts", 'export const x = Buffer.from("a");'],
  [
    "eslint(no-restricted-globals)",
    "services/audit/src/domain/planted-io.ts",
    'export const x = () => fetch("http://a");',
  ],
  [
    "eslint(no-restricted-globals)",
    "services/ingress/src/domain/planted-timer.ts",
    "export const x = () => setTimeout(() => 1, 1);",
  ],
  ["oxc(no-async-await)", "services/policy/src/domain/planted-async.ts", "export async function x() { return 1; }"],
  ["typescript(no-explicit-any)", "packages/mesh/src/planted-any.ts", "export const x = (y: any): unknown => y;"],
  ["typescript(ban-ts-comment)", "packages/mesh/src/planted-ignore.ts", "// @ts-ignore\nexport const x: number = 'a';"],
  [
    "typescript(no-floating-promises)",
    "packages/mesh/src/planted-floating.ts",
    "export const x = () => { Promise.resolve(1); };",
  ],
  [
    "typescript(no-misused-promises)",
    "packages/mesh/src/planted-misused.ts",
    "export const x = (y: number[]) => y.forEach(async () => {});",
  ],
  [
    "typescript(switch-exhaustiveness-check)",
    "packages/mesh/src/planted-switch.ts",
    'export function x(y: "a" | "b"): number { switch (y) { case "a": return 1; } return 2; }',
  ],
  ["import(no-default-export)", "packages/mesh/src/planted-default.ts", "export default 1;"],
  [
    "eslint(no-empty)",
    "packages/mesh/src/planted-empty.ts",
    "export function x() { try { JSON.parse(''); } catch {} }",
  ],
  ["unicorn(no-process-exit)", "packages/mesh/src/planted-exit.ts", "export const x = () => process.exit(1);"],
  ["unicorn(filename-case)", "packages/mesh/src/PlantedName.ts", "export const x = 1;"],
  ["eslint(max-lines)", "packages/mesh/src/planted-long.ts", "export const x = [\n".concat("1,\n".repeat(301), "];")],
];

/** The same words where they are right. */
const ALLOWED = {
  "services/policy/src/domain/planted-fine.ts":
    "export const x = (nowMs: number, process: number) => new Date(nowMs).getTime() + Date.UTC(2026, 0) + process;",
  "services/policy/src/adapters/planted-fine.ts": "export const x = async () => Date.now();",
  "services/policy/src/domain/planted-fine.test.ts": "export const x = async () => Date.now();",
};

const report = z.object({ diagnostics: z.array(z.object({ code: z.string().optional(), filename: z.string() })) });

test("every rule of the lint that we rely on fires where it must, and nowhere else", async () => {
  using tree = plantedTree({ ...ALLOWED, ...Object.fromEntries(PLANTS.map(([, file, text]) => [file, text])) });
  const { diagnostics } = report.parse(
    await runJson(
      "oxlint",
      ["--type-aware", "-f", "json", ...Object.keys(ALLOWED), ...PLANTS.map(([, file]) => file)],
      tree.path,
    ),
  );
  const fired = new Set(diagnostics.map(({ code, filename }) => `${code} ${filename}`));
  expect(PLANTS.filter(([rule, file]) => !fired.has(`${rule} ${file}`))).toEqual([]);
  expect(diagnostics.filter(({ filename }) => Object.hasOwn(ALLOWED, filename))).toEqual([]);
}, 120_000);
