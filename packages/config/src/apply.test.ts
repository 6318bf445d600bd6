import { NO_RULES } from "@weir/rules";
import { expect, test } from "vitest";
import { checkApplyFile } from "./apply.ts";
import { ConfigError } from "./problems.ts";

function problemsOf(text: string): string[] {
  try {
    checkApplyFile(text, "team.yaml");
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ origin, path, message }) => `${origin} ${path}: ${message}`);
  }
}

test("a file says what is wanted, and nothing of what it leaves out", () => {
  const { organizations, workspaces } = checkApplyFile(
    `
organizations:
  acme: { rules: { denied_regions: [cn*] } }
workspaces:
  search:
    organization: acme
    budgets: [{ period: day, limit_usd: 2, hard: false }, { period: total, limit_requests: 9, per: run, max_identical_calls: 3 }]
    projects: { bot: { limits: [{ per: key, concurrency: 4 }, { per: model, only: fast, output_tokens: 100, window: 1m }] } }
    end_users: { ann@example.com: { rules: { deny_tools: true } } }
    tags: { team=bots: { rules: { fixed_tags: {} } } }
    issuers: { ci: { url: "https://ci.example.com", audiences: [weir], ttl: 10m } }
`,
    "team.yaml",
  );
  expect(organizations).toEqual([
    { name: "acme", rules: { ...NO_RULES, deniedRegions: ["cn*"] }, budgets: undefined, limits: undefined },
  ]);
  expect(workspaces).toMatchObject([
    {
      name: "search",
      organization: "acme",
      payloads: undefined,
      rules: undefined,
      budgets: [
        { unit: "nano-usd", limit: 2_000_000_000n, hard: false, per: "none" },
        { unit: "requests", limit: 9n, per: "run", maxIdenticalCalls: 3 },
      ],
      projects: [
        {
          name: "bot",
          limits: [
            { per: "key", unit: "concurrency", amount: 4, windowMs: 0, burst: 0 },
            { per: "model", only: "fast", unit: "output-tokens", amount: 100, windowMs: 60_000, burst: 10 },
          ],
        },
      ],
      endUsers: [{ name: "ann@example.com", rules: { denyTools: true } }],
      tags: [{ name: "team", value: "bots" }],
      issuers: [{ name: "ci", project: "default", ttlMs: 600_000, scopes: ["inference"] }],
    },
  ]);
});

test("every problem is told at once, by its path and line", () => {
  expect(
    problemsOf(`
workspaces:
  search:
    budget: []
    rules: { allowed_ips: [10.0.0.1/8], deny_tools: yes please }
    tags: { team: {} }
    time_zone: Mars/Olympus
    budgets: [{ period: day, limit_usd: 1 }, { period: day, limit_usd: 2 }]
    limits: [{ per: key, requests: 1 }, { per: key, concurrency: 1, window: 1m }]
`).toSorted(),
  ).toEqual([
    'team.yaml:4 workspaces.search.budget: is no setting; did you mean "budgets"?',
    "team.yaml:5 workspaces.search.rules.deny_tools: must be true or false",
    "team.yaml:6 workspaces.search.tags.team: is not a tag like team=search",
    "team.yaml:7 workspaces.search.time_zone: is not a time zone like Europe/Berlin",
    "team.yaml:9 workspaces.search.limits[0]: needs a window, unless it is of concurrency, which has none",
    "team.yaml:9 workspaces.search.limits[1]: needs a window, unless it is of concurrency, which has none",
  ]);
});

test("rules are checked by what decides by them, and one of a kind stands at a place", () => {
  expect(problemsOf("workspaces: { a: { rules: { allowed_ips: [10.0.0.1/8] } } }")).toEqual([
    expect.stringContaining('workspaces.a.rules.allowed_ips: "10.0.0.1/8" is no address'),
  ]);
  expect(
    problemsOf("workspaces: { a: { budgets: [{ period: day, limit_usd: 1 }, { period: day, limit_usd: 2 }] } }"),
  ).toEqual([expect.stringContaining("workspaces.a.budgets[1]: is there already")]);
  expect(problemsOf("workspaces: { a: { rules: { payloads: some } } }")).toEqual([expect.stringContaining("payloads")]);
});

test("no file is a crash", () => {
  for (const text of ["", "[]", "workspaces: 1", "a: b", "workspaces: { a: }", "{"]) {
    try {
      checkApplyFile(text, "f");
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
    }
  }
});
