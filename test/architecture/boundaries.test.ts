import { expect, test } from "vitest";
import { z } from "zod";
import { plantedTree, runJson } from "./planted-tree.ts";

/** A rule that cannot fail is no rule: for each, one file that breaks it, and nothing else. */
const PLANTS: Readonly<Record<string, readonly [file: string, text: string]>> = {
  "kernel-imports-nothing": [
    "packages/kernel/src/planted.ts",
    'import { EventEmitter } from "node:events"; export const x = EventEmitter;',
  ],
  "contracts-are-generated": ["packages/contracts/planted.ts", 'export { WeirError } from "@weir/kernel";'],
  "pure-packages-are-pure": [
    "packages/pricing/src/planted.ts",
    'import { readFileSync } from "node:fs"; export const x = readFileSync;',
  ],
  "libraries-know-the-kernel": [
    "packages/storage/src/planted.ts",
    'import type { WeirConfig } from "../../config/src/index.ts"; export type T = WeirConfig;',
  ],
  "events-know-what-they-sign": [
    "packages/events/src/planted.ts",
    'import { openPool } from "../../storage/src/index.ts"; export const x = openPool;',
  ],
  "config-knows-kernel-and-rules": [
    "packages/config/src/planted.ts",
    'import { openPool } from "../../storage/src/index.ts"; export const x = openPool;',
  ],
  "credentials-know-the-transport": [
    "packages/credentials/src/planted.ts",
    'import { openPool } from "../../storage/src/index.ts"; export const x = openPool;',
  ],
  "http1-has-no-dependencies": [
    "packages/http1/src/planted.ts",
    'import { Agent } from "undici"; export const x = Agent;',
  ],
  "mesh-knows-contracts-and-transport": [
    "packages/mesh/src/planted.ts",
    'import type { WeirConfig } from "../../config/src/index.ts"; export type T = WeirConfig;',
  ],
  "packages-never-import-services": [
    "packages/testkit/src/planted.ts",
    'export * as policy from "../../../services/policy/src/index.ts";',
  ],
  "cli-is-a-client": [
    "packages/cli/src/planted.ts",
    'import { openPool } from "../../storage/src/index.ts"; export const x = openPool;',
  ],
  "testkit-is-for-tests": [
    "services/ingress/src/adapters/planted-testkit.ts",
    'import { fakeClock } from "../../../../packages/testkit/src/index.ts"; export const x = fakeClock;',
  ],
  "domain-is-pure": [
    "services/policy/src/domain/planted.ts",
    'import { readFileSync } from "node:fs"; export const x = readFileSync;',
  ],
  "domain-ignores-the-wire": [
    "services/policy/src/domain/planted-wire.ts",
    'import type { common } from "@weir/contracts"; export type T = common.Usage;',
  ],
  "flows-see-ports-not-adapters": [
    "services/policy/src/flows/planted.ts",
    'import { planted } from "../adapters/planted.ts"; export const x = planted;',
  ],
  "ports-are-roles": ["services/standalone/src/ports.ts", 'import { Pool } from "pg"; export const x = Pool;'],
  "adapters-do-not-know-callers": [
    "services/policy/src/adapters/planted-caller.ts",
    'import { planted } from "../rpc/planted-handler.ts"; export const x = planted;',
  ],
  "rpc-is-translation": [
    "services/policy/src/rpc/planted.ts",
    'import { planted } from "../adapters/planted.ts"; export const x = planted;',
  ],
  "only-the-composition-root-composes": [
    "services/policy/src/adapters/planted-root.ts",
    'import { createPolicy } from "../service.ts"; export const x = createPolicy;',
  ],
  "providers-are-islands": [
    "services/router/src/providers/planted.ts",
    'import { planted } from "./other.ts"; export const x = planted;',
  ],
  "services-meet-through-contracts": [
    "services/router/src/rpc/planted.ts",
    'import { createPolicy } from "../../../policy/src/index.ts"; export const x = createPolicy;',
  ],
  "services-show-their-index-only": [
    "services/standalone/src/planted.ts",
    'import { planted } from "../../policy/src/adapters/planted.ts"; export const x = planted;',
  ],
  "packages-show-their-index-only": [
    "services/ingress/src/adapters/planted.ts",
    'import { uuidv7 } from "../../../../packages/kernel/src/ids.ts"; export const x = uuidv7;',
  ],
  "no-circular": [
    "services/policy/src/domain/planted-a.ts",
    'import { b } from "./planted-b.ts"; export const a = (): unknown => b;',
  ],
  resolvable: [
    "services/ingress/src/domain/planted.ts",
    'import { spend } from "@weir/policy/src/domain/gcra.ts"; export const x = spend;',
  ],
};

/** What the planted files need to stand on. */
const GROUND = {
  "services/policy/src/adapters/planted.ts": "export const planted = 1;",
  "services/policy/src/rpc/planted-handler.ts": "export const planted = 1;",
  "services/policy/src/domain/planted-b.ts": 'import { a } from "./planted-a.ts"; export const b = (): unknown => a;',
  "services/router/src/providers/other.ts": "export const planted = 1;",
};

const report = z.object({
  summary: z.object({
    totalCruised: z.number(),
    ruleSetUsed: z.object({ forbidden: z.array(z.object({ name: z.string() })) }),
    violations: z.array(z.object({ from: z.string(), rule: z.object({ name: z.string() }) })),
  }),
});

test("every rule about imports has a planted violation, and fires on it", async () => {
  using tree = plantedTree({ ...GROUND, ...Object.fromEntries(Object.values(PLANTS)) });
  const { summary } = report.parse(
    await runJson("depcruise", ["packages", "services", "--output-type", "json"], tree.path),
  );
  expect(Object.keys(PLANTS).sort()).toEqual(summary.ruleSetUsed.forbidden.map((rule) => rule.name).sort());
  // Without a TypeScript it can use, dependency-cruiser looks at next to nothing and is content.
  expect(summary.totalCruised).toBeGreaterThan(250);
  const fired = new Set(summary.violations.map(({ from, rule }) => `${rule.name}: ${from}`));
  const silent = Object.entries(PLANTS).filter(([rule, [file]]) => !fired.has(`${rule}: ${file}`));
  expect(silent.map(([rule]) => rule)).toEqual([]);
}, 120_000);
