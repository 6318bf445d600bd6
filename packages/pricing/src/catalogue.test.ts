import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { capabilitiesOf } from "./catalogue.ts";

describe("what a model can do", () => {
  it.each([
    ["openai", "gpt-4o-mini"],
    ["openai", "gpt-4o-mini-2024-07-18"],
    ["azure", "gpt-4o-mini"],
    ["anthropic", "claude-haiku-4-5-20251001"],
    ["google", "claude-haiku-4-5@20251001"],
    ["google", "gemini-2.5-flash"],
    ["aws", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"],
    ["aws", "apac.anthropic.claude-haiku-4-5-20251001-v1:0"],
    ["mistral", "mistral-large-latest"],
    ["cohere", "command-a-03-2025"],
  ])("%s's %s calls tools, and how much it takes is known", (maker, model) => {
    const { tools, contextWindow = 0, maxOutput = 0 } = capabilitiesOf(maker, model);
    expect(tools).toBe(true);
    expect(contextWindow).toBeGreaterThanOrEqual(32_000);
    expect(maxOutput).toBeGreaterThan(1_000);
  });

  it("tells those that see from those that do not", () => {
    expect(capabilitiesOf("openai", "gpt-4o").images).toBe(true);
    expect(capabilitiesOf("aws", "us.amazon.nova-micro-v1:0").images).toBe(false);
    expect(capabilitiesOf("openai", "gpt-4o").structuredOutput).toBe(true);
  });

  it("is unknown of whatever is not in it", () => {
    expect(capabilitiesOf("nobody", "gpt-4o")).toEqual({});
    expect(capabilitiesOf("openai", "my-own-model")).toEqual({});
    fc.assert(fc.property(fc.string(), fc.string(), (maker, model) => void capabilitiesOf(maker, model)));
  });
});
