import { describe, expect, test } from "vitest";
import { checkConfig, ConfigError } from "./index.ts";

const PROVIDERS = "providers: { local: { kind: openai-compatible, base_url: 'http://127.0.0.1:1/v1' } }\n";
const check = (text: string) => checkConfig(PROVIDERS + text, "weir.yaml", {}, "/srv");

function problems(text: string): string[] {
  try {
    check(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe("prices", () => {
  test("say all that a model can cost", () => {
    const config = check(`models:
  m:
    targets: [{ provider: local, model: x }]
    price:
      input_usd_per_mtok: 1
      output_usd_per_mtok: "2.5"
      reasoning_usd_per_mtok: 3
      batch_percent: 50
      long_context:
        - { above_input_tokens: 200000, input_usd_per_mtok: 4, output_usd_per_mtok: 5 }
        - { above_input_tokens: 100000, input_usd_per_mtok: 2, output_usd_per_mtok: 3 }
      tools: { web_search_usd: 0.01, max_calls: 5 }
`);
    expect(config.models.get("m")?.price).toMatchObject({
      inputNanosPerMtok: 1_000_000_000n,
      outputNanosPerMtok: 2_500_000_000n,
      reasoningNanosPerMtok: 3_000_000_000n,
      batchPercent: 50,
      tiers: [{ aboveInputTokens: 100_000 }, { aboveInputTokens: 200_000, inputNanosPerMtok: 4_000_000_000n }],
      tools: { webSearchNanos: 10_000_000n, maxCalls: 5 },
    });
  });
});

describe("contracts", () => {
  test("have terms, a time and those for whom they are", () => {
    const config = check(`contracts:
  acme:
    provider: local
    models: ["gpt-4*"]
    workspaces: [team-a]
    from: 2026-01-01
    to: 2027-01-01
    discount_percent: 12.5
  flat: { provider: local, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }
`);
    expect(config.contracts).toMatchObject([
      {
        id: "acme",
        models: ["gpt-4*"],
        workspaces: ["team-a"],
        fromMs: Date.UTC(2026, 0, 1),
        toMs: Date.UTC(2027, 0, 1),
        price: undefined,
        discountBasisPoints: 1250,
      },
      { id: "flat", workspaces: [], fromMs: 0, toMs: 0, price: { outputNanosPerMtok: 2_000_000_000n } },
    ]);
  });

  test.each([
    ["{ provider: locl, discount_percent: 1 }", "there is no provider"],
    ["{ provider: local }", "exactly one of"],
    [
      "{ provider: local, discount_percent: 1, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 1 } }",
      "exactly one of",
    ],
    ["{ provider: local, discount_percent: 1, from: 2026-02-01, to: 2026-02-01 }", "ends before it begins"],
    ["{ provider: local, discount_percent: 1, from: tomorrow }", "is not a day"],
    ["{ provider: local, discount_percent: 101 }", "discount_percent"],
  ])("are refused where they make no sense: %s", (contract, message) => {
    expect(problems(`contracts:\n  c: ${contract}\n`).join("\n")).toContain(message);
  });
});
