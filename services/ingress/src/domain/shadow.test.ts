import { NO_RULES } from "@weir/rules";
import { describe, expect, it } from "vitest";
import type { Candidate } from "./bound.ts";
import { grantOf } from "./grant.ts";
import { maySee, shadowGrant } from "./shadow.ts";
import { testKey } from "./test-key.ts";

const caller = (some: Parameters<typeof testKey>[0] = {}) =>
  grantOf(testKey({ id: "caller", workspaceId: "w-caller", workspace: "caller", hasHardBudget: true, ...some }));
const paying = (some: Parameters<typeof testKey>[0] = {}) =>
  grantOf(testKey({ id: "payer", workspaceId: "w-payer", workspace: "payer", payloads: "none", ...some }));
const at = (provider: string, region: string): Candidate => ({ provider, region }) as Candidate;

describe("a copy's grant", () => {
  it("is recorded where the request is, and paid for by the other key", () => {
    const grant = shadowGrant(caller({ payloads: "full", endUser: "u" }), paying({ hasBudget: true }));
    expect(grant?.key).toMatchObject({
      id: "payer",
      workspaceId: "w-caller",
      payloads: "full",
      endUser: "u",
      // Whose contracts count.
      workspace: "payer",
      hasBudget: true,
      hasHardBudget: false,
    });
  });

  it("is none within one workspace: one budget would pay for both", () => {
    expect(shadowGrant(caller(), paying({ workspaceId: "w-caller" }))).toBeUndefined();
  });

  it("holds to both keys' providers and regions, and is never kept for later", () => {
    const grant = shadowGrant(
      caller({ rules: { ...NO_RULES, allowedRegions: ["eu"], requiredGuardrails: ["pii"] } }),
      paying({ rules: { ...NO_RULES, deniedProviders: ["x"] } }),
    );
    if (grant === undefined) throw new Error("no grant");
    expect(maySee(grant, [at("p", "eu")])).toBe(true);
    expect(maySee(grant, [at("p", "us")])).toBe(false);
    expect(maySee(grant, [at("x", "eu")])).toBe(false);
    expect(maySee(grant, [])).toBe(false);
    expect(grant.key.rules).toMatchObject({ cache: "off", requiredGuardrails: ["pii"] });
  });

  it("asks the paying key alone for names of models, and nobody for what was looked at already", () => {
    const rules = { ...NO_RULES, allowedModels: ["fast"], allowedIps: ["10.0.0.0/8"], fixedTags: ["team=a"] };
    const grant = shadowGrant(
      caller({ rules }),
      paying({ rules: { ...NO_RULES, deniedModels: ["p/secret"], fixedTags: ["team=b"] } }),
    );
    expect(grant?.key.rules).toMatchObject({
      allowedModels: [],
      deniedModels: ["p/secret"],
      allowedIps: [],
      fixedTags: [],
    });
  });
});
