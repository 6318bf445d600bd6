import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkConfig, ConfigError, loadConfig, type WeirConfig } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "weir-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const check = (text: string | undefined, env: Record<string, string> = {}): WeirConfig =>
  checkConfig(text, "weir.yaml", env, "/srv");

function problems(text: string, env: Record<string, string> = {}): string[] {
  try {
    check(text, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ origin = "", path, message }) => `${origin} ${path}: ${message}`);
  }
  return [];
}

/** The design's own example. */
const EXAMPLE = `
providers:
  openai: { kind: openai, api_key: "env:OPENAI_API_KEY" }
  claude: { kind: anthropic, api_key: "sk-ant", region: us }
  local:  { kind: openai-compatible, base_url: "http://127.0.0.1:8000/v1/", region: eu }
  echo:   { kind: echo }
models:
  fast:
    strategy: weighted
    targets:
      - { provider: openai, model: gpt-4o-mini, weight: 70 }
      - { provider: claude, model: claude-haiku-4-5, weight: 30 }
    fallbacks: [llama]
  llama:
    targets: [{ provider: local, model: llama-3.3-70b }]
    price: { input_usd_per_mtok: 0.10, output_usd_per_mtok: 0.40 }
workspaces:
  default:
    budgets: [{ period: month, limit_usd: 100, hard: true }, { period: day, limit_tokens: 2000000, hard: false }]
    limits:  [{ per: key, requests: 600, window: 60s }]
`;

test("a start without a file serves echo on the loopback, with a default workspace", () => {
  const config = check(undefined);
  expect([...config.providers.keys()]).toEqual(["echo"]);
  expect(config.http.listen).toEqual({ host: "127.0.0.1", port: 8080 });
  expect(config.rpc.listen).toEqual({ host: "127.0.0.1", port: 8081 });
  expect(config.dataDir).toBe("/srv/.weir");
  expect(config.adminToken).toBeUndefined();
  expect([...config.workspaces.keys()]).toEqual(["default"]);
});

test("the example of the documentation means what it says", () => {
  const config = check(EXAMPLE, { OPENAI_API_KEY: "sk-one" });
  expect(config.providers.get("openai")?.apiKey?.reveal()).toBe("sk-one");
  expect(config.providers.get("local")).toMatchObject({
    baseUrl: "http://127.0.0.1:8000/v1",
    region: "eu",
    apiKey: undefined,
  });
  expect(config.models.get("fast")).toMatchObject({ strategies: ["weighted"], fallbacks: ["llama"] });
  expect(config.models.get("llama")).toMatchObject({
    strategies: ["priority"],
    targets: [{ provider: "local", model: "llama-3.3-70b", weight: 1 }],
    price: { inputNanosPerMtok: 100_000_000n, outputNanosPerMtok: 400_000_000n },
  });
  expect(config.workspaces.get("default")?.budgets).toMatchObject([
    { unit: "nano-usd", period: "month", limit: 100_000_000_000n, hard: true },
    { unit: "tokens", period: "day", limit: 2_000_000n, hard: false },
  ]);
  expect(config.workspaces.get("default")?.limits).toEqual([
    { per: "key", unit: "requests", amount: 600, windowMs: 60_000, burst: 60, failClosed: false },
  ]);
});

test("well-known keys register their providers, unless the file has one of that kind", () => {
  const env = { OPENAI_API_KEY: "sk-1", ANTHROPIC_API_KEY: "sk-2", GEMINI_API_KEY: "sk-3" };
  expect([...check(undefined, env).providers.keys()].sort()).toEqual(["anthropic", "echo", "gemini", "openai"]);
  const own = check("providers: { mine: { kind: openai, api_key: x } }", env);
  expect([...own.providers.keys()].sort()).toEqual(["anthropic", "echo", "gemini", "mine"]);
});

test("every problem is told at once, with its line", () => {
  expect(
    problems(`providers:
  openai: { kind: openai, api_kye: x }
models:
  fast:
    stratgey: weighted
    targets:
      - { provider: opneai, model: m }
http:
  listen: nowhere
  max_connections: many
workspaces:
  default:
    budgets: [{ period: month, limit_usd: 1, limit_tokens: 1 }]
    limits: [{ per: key, requests: 5, window: 60 }]
logs: {}
`),
  ).toEqual(
    expect.arrayContaining([
      'weir.yaml:2 providers.openai.api_kye: is no setting; did you mean "api_key"?',
      'weir.yaml:5 models.fast.stratgey: is no setting; did you mean "strategy"?',
      expect.stringMatching(/^weir.yaml:9 http.listen: not an address/),
      "weir.yaml:10 http.max_connections: must be a number",
      expect.stringMatching(/^weir.yaml:13 workspaces.default.budgets\[0\]: needs exactly one/),
      expect.stringMatching(/^weir.yaml:14 workspaces.default.limits\[0\].window: not a duration/),
      'weir.yaml:15 logs: is no setting; did you mean "log"?',
    ]),
  );
});

test("a choice that there is not is refused, not turned into another", () => {
  expect(problems("workspaces:\n  default:\n    payloads: all\n")).toEqual([
    expect.stringMatching(/^weir.yaml:3 workspaces.default.payloads: .*hashes/),
  ]);
  for (const payloads of ["none", "hashes", "redacted", "full"])
    expect(check(`workspaces: { default: { payloads: ${payloads} } }`, {}).workspaces.get("default")?.payloads).toBe(
      payloads,
    );
});

test("names that point nowhere are found once the form is right", () => {
  const text = "models:\n  a: { targets: [{ provider: ehco, model: m }], fallbacks: [b, a] }\n";
  expect(problems(text)).toEqual([
    'weir.yaml:2 models.a.targets[0].provider: there is no provider "ehco"; did you mean "echo"?',
    'weir.yaml:2 models.a.fallbacks[0]: there is no model "b"; did you mean "a"?',
    "weir.yaml:2 models.a.fallbacks[1]: a model cannot fall back to itself",
  ]);
});

test("every setting can be set by its variable, over the file", () => {
  const config = check(
    "http: { listen: '127.0.0.1:1', max_connections: 5 }\nproviders: { my-llm: { kind: openai, base_url: 'http://a/v1' } }",
    {
      WEIR_HTTP_LISTEN: "[::1]:9000",
      WEIR_HTTP_MAX_BODY_BYTES: "1MiB",
      WEIR_HTTP_DRAIN_TIMEOUT: "1m30s",
      WEIR_RPC_LISTEN: ":0",
      WEIR_DATA_DIR: "/var/lib/weir",
      WEIR_INSTANCE: "42",
      WEIR_ADMIN_TOKEN: "0123",
      WEIR_PEER_POLICY: "unix:/run/policy.sock",
      WEIR_SPOOL_STRICT: "true",
      WEIR_SPOOL_MAX_BYTES: "10000000",
      WEIR_LOG_LEVEL: "debug",
      WEIR_PROVIDERS_MY_LLM_API_KEY: "env:OTHER",
      WEIR_MODELS: "{ m: { targets: [{ provider: my-llm, model: x }] } }",
      WEIR_MODELS_M_STRATEGY: "cost",
      WEIR_WORKSPACES_DEFAULT_ALLOWED_MODELS: "ignored, as the file has no such workspace",
      OTHER: "secret",
    },
  );
  expect(config.http).toMatchObject({
    listen: { host: "::1", port: 9000 },
    maxBodyBytes: 1_048_576,
    maxConnections: 5,
    drainMs: 90_000,
    drainDelayMs: 0,
  });
  expect(config.rpc.listen).toEqual({ host: "0.0.0.0", port: 0 });
  expect(config.dataDir).toBe("/var/lib/weir");
  expect(config.instance).toBe("42");
  expect(config.adminToken?.reveal()).toBe("0123");
  expect(config.peers.policy).toEqual(["unix:/run/policy.sock"]);
  expect(config.spool).toEqual({ maxBytes: 10_000_000, strict: true });
  expect(config.log.level).toBe("debug");
  expect(config.providers.get("my-llm")?.apiKey?.reveal()).toBe("secret");
  expect(config.models.get("m")?.strategies).toEqual(["cost"]);
});

test("a wrong variable is named; a mistyped one is noticed; a stranger is let pass", () => {
  expect(problems("", { WEIR_HTTP_MAX_CONNECTIONS: "lots" })).toEqual([
    "WEIR_HTTP_MAX_CONNECTIONS http.max_connections: must be a number",
  ]);
  expect(problems("", { WEIR_SPOOL_STRICKT: "true" })).toEqual([
    "WEIR_SPOOL_STRICKT : is no setting; did you mean WEIR_SPOOL_STRICT?",
  ]);
  expect(
    problems("", { WEIR_POLICY_SERVICE_HOST: "10.0.0.1", WEIR_CONFIG: "x", WEIR_RPC: "y", WEIR_LOG_LEVEL: "" }),
  ).toEqual([]);
});

test("secrets come from where they are referred to, and problems never show them", () => {
  const file = join(folder, "token");
  writeFileSync(file, "from-a-file\n");
  expect(check(`admin_token: "file:${file}"`).adminToken?.reveal()).toBe("from-a-file");
  expect(problems('admin_token: "file:/nowhere/token"')).toEqual([
    "weir.yaml:1 admin_token: the file /nowhere/token cannot be read (ENOENT)",
  ]);
  expect(problems('admin_token: "env:NOPE"')).toEqual([
    "weir.yaml:1 admin_token: the environment variable NOPE is not set",
  ]);
  for (const scheme of ["vault", "aws"]) {
    expect(problems(`admin_token: "${scheme}:secret/x"`)).toEqual([expect.stringContaining("was not fetched")]);
  }
  const canary = "CANARY-4711";
  for (const text of [
    `admin_token: ["${canary}"]`,
    `http: { listen: "${canary}" }`,
    `log: { level: "${canary}" }`,
    `providers: { a: { kind: b, base_url: "${canary}" } }`,
    `providers: { a: { kind: b, headers: { x: "${canary}\\n" } } }`,
    `data_dir: {a: ${canary}`,
  ]) {
    expect(problems(text).length).toBeGreaterThan(0);
    expect(problems(text).join()).not.toContain(canary);
  }
  expect(
    JSON.stringify(check(`admin_token: ${canary}`), (_, value: unknown) => (typeof value === "bigint" ? "" : value)),
  ).not.toContain(canary);
});

test("the file that is named must be there; the usual one need not", () => {
  expect(() => loadConfig({ WEIR_CONFIG: "absent.yaml" }, { directory: folder })).toThrow(/there is no such file/);
  expect(() => loadConfig({ WEIR_CONFIG: "." }, { directory: folder })).toThrow(ConfigError);
  expect(loadConfig({}, { directory: folder }).log.level).toBe("info");
  writeFileSync(join(folder, "weir.yaml"), "log: { level: warn }");
  expect(loadConfig({}, { directory: folder }).log.level).toBe("warn");
});

test("settings whose lines are commented out count as absent", () => {
  expect(check("providers:\n  # nothing\nlog:\n  level:\n").log.level).toBe("info");
});

test("a service that calls no provider needs no provider's key, and gets none", () => {
  const file = `
providers:
  claude: { kind: anthropic, api_key: "env:ABSENT", headers: { x-team: "file:/absent" } }
models:
  fast: { targets: [{ provider: openai, model: gpt-4o-mini }, { provider: claude, model: claude-haiku-4-5 }] }
  typo: { targets: [{ provider: cloud, model: claude-haiku-4-5 }] }
`;
  const without = (text: string, env: Record<string, string>): WeirConfig =>
    checkConfig(text, "weir.yaml", env, "/srv", false);
  const right = file.replace("provider: cloud", "provider: claude");
  for (const env of [{}, { ABSENT: "sk-1", OPENAI_API_KEY: "sk-2" }]) {
    const { providers } = without(right, env);
    expect([...providers.keys()].sort()).toEqual(["claude", "echo", "gemini", "openai"]);
    expect([...providers.values()].map(({ apiKey, headers }) => [apiKey, headers])).toEqual(
      Array.from({ length: 4 }, () => [undefined, {}]),
    );
  }
  expect(() => without(file, {})).toThrow(/there is no provider "cloud"/);
  expect(() => check(right)).toThrow(ConfigError);
});

test("a peer may have several replicas, in a list or a text with commas", () => {
  const two = ["http://a:1", "unix:/run/b.sock"];
  expect(check(`peer: { policy: [${two.join(", ")}] }`).peers.policy).toEqual(two);
  expect(check(`peer: { policy: "${two.join(", ")}" }`).peers.policy).toEqual(two);
  expect(check("", { WEIR_PEER_POLICY: two.join(",") }).peers.policy).toEqual(two);
  for (const wrong of ["[]", '"http://a:1,"', '"http://a:1;http://b:1"', '["http://a:1", "b:2"]', "7"]) {
    expect(problems(`peer: { policy: ${wrong} }`)).toHaveLength(1);
  }
});
