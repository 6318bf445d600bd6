import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { followConfig, type FollowOptions, loadConfig, openConfig, type WeirConfig } from "./index.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-follow-"));
  file = join(folder, "weir.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const withModel = (name: string, more = ""): string =>
  `models: { ${name}: { targets: [{ provider: echo, model: x }] } }\n${more}`;

function followed(options: Partial<FollowOptions> = {}) {
  const env = { WEIR_CONFIG: file, SECRET: "one" };
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const applied: WeirConfig[] = [];
  const say = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message });
  const log = { level: "info", info: say("info"), warn: say("warn"), error: say("error") };
  const following = followConfig(
    { config: loadConfig(env), remote: false },
    {
      env,
      log,
      reloads: ["models", "providers"],
      apply: async (config) => void applied.push(config),
      lookEveryMs: 20,
      ...options,
    },
  );
  const models = (): (readonly string[])[] => applied.map((config) => [...config.models.keys()]);
  return { env, lines, applied, models, log, following };
}

test("a changed file is put in force, however it was changed", async () => {
  writeFileSync(file, withModel("a"));
  const { following, models, lines } = followed();
  await using _following = following;
  writeFileSync(file, withModel("b"));
  await expect.poll(models, { timeout: 10_000 }).toEqual([["b"]]);
  writeFileSync(join(folder, "new"), withModel("c"));
  renameSync(join(folder, "new"), file);
  await expect.poll(models, { timeout: 10_000 }).toEqual([["b"], ["c"]]);
  expect(lines.map(({ level }) => level)).toEqual(["info", "info"]);
});

test("a link that points to another file, as Kubernetes changes its mounts", async () => {
  writeFileSync(join(folder, "one"), withModel("a"));
  writeFileSync(join(folder, "two"), withModel("b", "log: { level: debug }\n"));
  symlinkSync("one", file);
  const { following, models, log } = followed();
  await using _following = following;
  symlinkSync("two", join(folder, "link"));
  renameSync(join(folder, "link"), file);
  await expect.poll(models, { timeout: 10_000 }).toEqual([["b"]]);
  expect(log.level).toBe("debug");
});

test("a wrong one is refused and told, the last good one stays, and the next good one counts", async () => {
  writeFileSync(file, withModel("a"));
  const { following, models, lines, log } = followed();
  await using _following = following;
  writeFileSync(file, withModel("b", "log: { level: loud }\n"));
  await expect.poll(() => lines.map(({ level }) => level), { timeout: 10_000 }).toEqual(["error"]);
  expect(String(lines[0]?.fields["err"])).toContain("log.level");
  expect(models()).toEqual([]);
  expect(log.level).toBe("info");
  writeFileSync(file, withModel("c"));
  await expect.poll(models, { timeout: 10_000 }).toEqual([["c"]]);
});

test("one that the service cannot use is refused, too, and not taken for the one in force", async () => {
  writeFileSync(file, withModel("a"));
  const { following, lines } = followed({
    apply: async (config) => {
      if (config.models.has("bad")) throw new Error("there is no such kind");
    },
  });
  await using _following = following;
  writeFileSync(file, withModel("bad"));
  await expect.poll(() => lines.map(({ level }) => level), { timeout: 10_000 }).toEqual(["error"]);
  writeFileSync(file, withModel("good"));
  await expect.poll(() => lines.at(-1)?.fields, { timeout: 10_000 }).toEqual({ changed: ["models"] });
});

test("a file that is gone is refused, not taken for an empty one", async () => {
  writeFileSync(file, withModel("a"));
  const { following, lines, models } = followed();
  await using _following = following;
  await new Promise((resolve) => setTimeout(resolve, 100));
  rmSync(file);
  await expect.poll(() => lines.map(({ level }) => level), { timeout: 10_000 }).toEqual(["error"]);
  writeFileSync(file, withModel("b"));
  await expect.poll(models, { timeout: 10_000 }).toEqual([["b"]]);
});

test("what counts from the next start on is named; a secret that changed is noticed at SIGHUP, and not shown", async () => {
  writeFileSync(file, withModel("a", `providers: { p: { kind: openai, api_key: "env:SECRET" } }\n`));
  const { following, env, applied, lines } = followed();
  await using _following = following;
  env.SECRET = "two";
  process.emit("SIGHUP");
  await expect.poll(() => applied.length, { timeout: 10_000 }).toBe(1);
  expect(applied[0]?.providers.get("p")?.apiKey?.reveal()).toBe("two");
  // Again: nothing has changed.
  process.emit("SIGHUP");
  writeFileSync(
    file,
    withModel("a", `providers: { p: { kind: openai, api_key: "env:SECRET" } }\nhttp: { max_connections: 7 }\n`),
  );
  await expect
    .poll(() => lines.filter(({ level }) => level === "warn").map(({ fields }) => fields), { timeout: 10_000 })
    .toEqual([{ settings: ["http"] }]);
  expect(applied).toHaveLength(1);
  expect(JSON.stringify(lines)).not.toContain("two");
});

test("a secret that is kept outside is fetched anew, and in force when it changed; one that cannot be had changes nothing", async () => {
  const text = `providers: { p: { kind: openai, api_key: "vault:secret/data/llm#p" } }\nsecrets: { refresh: 1s }\n`;
  writeFileSync(file, text);
  let kept: string | Error = "one";
  const load = {
    fetchSecrets: (references: readonly string[]) => Promise.resolve(new Map(references.map((one) => [one, kept]))),
  };
  const env = { WEIR_CONFIG: file };
  const opened = await openConfig(env, load);
  const keyOf = (config: WeirConfig | undefined) => config?.providers.get("p")?.apiKey?.reveal();
  expect([keyOf(opened.config), opened.remote]).toEqual(["one", true]);
  const applied: WeirConfig[] = [];
  const errors: string[] = [];
  const log = {
    level: "info",
    info: () => undefined,
    warn: () => undefined,
    error: (fields: object) => void errors.push(String((fields as { err: unknown }).err)),
  };
  await using _following = followConfig(opened, {
    env,
    load,
    log,
    reloads: ["providers"],
    apply: async (config) => void applied.push(config),
  });
  kept = "two";
  await expect.poll(() => applied.map(keyOf), { timeout: 15_000 }).toEqual(["two"]);
  kept = new Error("Vault does not answer");
  await expect.poll(() => errors[0], { timeout: 15_000 }).toContain("providers.p.api_key");
  expect(errors[0]).toContain("Vault does not answer");
  expect(applied).toHaveLength(1);
});

test("without a way to fetch them, references to secrets outside are refused", () => {
  writeFileSync(file, `providers: { p: { kind: openai, api_key: "aws:llm#p" } }\n`);
  expect(() => loadConfig({ WEIR_CONFIG: file })).toThrow("providers.p.api_key");
});
