/** What the pages say of the code, held to the code. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { variableOf } from "@weir/config";
import { audit, evaluation, ingress, policy, router } from "@weir/contracts";
import { facadeRoutes } from "@weir/ingress";
import { catalogue } from "@weir/kernel";
import { describe, expect, test } from "vitest";
import { codeBlocks, pages, read, ROOT, tableRows } from "./pages.ts";

/** As GitHub makes them. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
const TESTS = ["packages", "services", "test"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".test.ts") && !path.includes("node_modules"))
    .map((path) => join(folder, path)),
);
const linksOf = (text: string): (readonly [label: string, target: string])[] =>
  [...text.replaceAll(/^```.*?^```$/gms, "").matchAll(/\[([^\]]*)\]\(([^)\s]+)\)/g)].map(
    ([, label = "", target = ""]) => [label, target],
  );

describe.each(pages())("%s", (page) => {
  const text = read(page);

  test("links lead somewhere", () => {
    const broken = linksOf(text).filter(([, target]) => {
      if (/^https?:/.test(target)) return false;
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? page : join(dirname(page), file);
      if (!existsSync(join(ROOT, path))) return true;
      return anchor !== undefined && !anchorsOf(read(path)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("files that are named exist", () => {
    const named = [...text.matchAll(/`((?:packages|services|test|tools|deploy|docs|proto)\/[\w@./-]+)`/g)];
    expect(named.map(([, path = ""]) => path).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  test("scripts and tests that are named exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const own = new Set([...Object.keys(scripts), "install", "exec"]);
    const commands = [...text.matchAll(/(?<![\w/])pnpm(?:@[\d.]+)? ([a-z]+)((?: [\w./-]+)*)/g)];
    for (const [command, script = "", rest = ""] of commands) {
      expect(own, command).toContain(script);
      const filter = rest.trim().split(" ")[0] ?? "";
      if (script !== "test" || filter === "") continue;
      const fits = TESTS.some((file) => file.startsWith(filter));
      expect(fits, `no test at ${filter}`).toBe(true);
    }
  });
});

test("failure modes name tests that exist", () => {
  const shown = linksOf(read("docs/failure-modes.md")).filter(([, target]) => target.endsWith(".test.ts"));
  expect(shown.length).toBeGreaterThan(10);
  const missing = shown.filter(([label, target]) => !read(join("docs", target)).includes(label));
  expect(missing).toEqual([]);
});

describe("docs/api.md", () => {
  const page = read("docs/api.md");

  test("has the error catalogue", () => {
    const rows = tableRows(page).filter((row) => /^\d{3}$/.test(row[1] ?? ""));
    expect(rows).toEqual(
      Object.entries(catalogue).map(([reason, { status, rpc, retry, advice }]) => [
        `\`${reason}\``,
        String(status),
        `\`${rpc}\``,
        retry ? "yes" : "no",
        advice,
      ]),
    );
  });

  test("has every route of the facade", () => {
    const unused = (): void => undefined;
    const routes = facadeRoutes({ model: () => unused, models: unused, pages: new Map() });
    for (const { method, path } of routes) expect(page).toContain(`\`${method} ${path}\``);
  });

  test("has every RPC", () => {
    const services = [
      ingress.GatewayService,
      policy.PolicyService,
      policy.PolicyAdminService,
      policy.TokenService,
      router.RouterService,
      audit.AuditProofService,
      audit.AuditService,
      audit.CostService,
      audit.RetentionService,
      evaluation.EvaluationService,
    ];
    for (const service of services) {
      expect(page).toContain(`\`${service.typeName}\``);
      for (const method of service.methods) expect(page, service.typeName).toContain(`\`${method.name}\``);
    }
  });
});

test("environment variables that are named are settings", () => {
  const documented = new Set(
    tableRows(read("docs/configuration.md")).flatMap(([cell = ""]) =>
      [...cell.matchAll(/`([a-z_.]+)`/g)].map(([, path = ""]) => variableOf(path.split("."))),
    ),
  );
  const others = [
    "WEIR_CONFIG",
    "WEIR_RPC",
    "WEIR_KEY",
    "WEIR_CHAOS_SEED",
    "WEIR_POSTGRES_PASSWORD",
    "WEIR_PROVIDERS",
    "WEIR_EVENTS",
    "WEIR_DEAD",
  ];
  for (const page of pages()) {
    for (const [variable] of read(page).matchAll(/\bWEIR_[A-Z_]+[A-Z]\b/g)) {
      const isSetting = documented.has(variable) || others.includes(variable) || variable.startsWith("WEIR_PROVIDERS_");
      expect(isSetting, `${page}: ${variable}`).toBe(true);
    }
  }
});

test("metrics that are named exist, and all are named", () => {
  const sources = [
    "services/ingress/src",
    "services/router/src",
    "services/audit/src",
    "services/evaluation/src",
    "services/standalone/src",
  ];
  const code = sources.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => read(join(folder, path))),
  );
  const registered = new Set(code.flatMap((text) => [...text.matchAll(/"(weir_[a-z_]+)"/g)].map(([, name]) => name)));
  for (const role of ["weir_audit", "weir_evaluation", "weir_router"]) registered.delete(role);
  const documented = new Set(
    tableRows(read("docs/operations.md")).flatMap(([cell = ""]) =>
      [...cell.matchAll(/`(weir_[a-z_]+)`/g)].map(([, name]) => name),
    ),
  );
  expect(documented).toEqual(registered);
});

test("pages are wrapped in code fences that close", () => {
  for (const page of pages()) {
    const fences = [...read(page).matchAll(/^```/gm)].length;
    expect(fences, page).toBe(codeBlocks(read(page)).length * 2);
  }
});
