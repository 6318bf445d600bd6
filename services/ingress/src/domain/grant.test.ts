import { attributeTable, NO_RULES, type Rules } from "@weir/rules";
import { describe, expect, test } from "vitest";
import {
  type AttributeBounds,
  attributesFor,
  grantFor,
  grantOf,
  objection,
  requireInference,
  showsModel,
} from "./grant.ts";
import { shapeOf } from "./shape.ts";
import { testKey } from "./test-key.ts";

const NO_GUARDRAILS: ReadonlySet<string> = new Set();

const rules = (some: Partial<Rules>): Rules => ({ ...NO_RULES, ...some });
const attribute = (
  kind: "end-user" | "tag",
  name: string,
  value: string,
  some: Partial<AttributeBounds> = {},
): AttributeBounds => ({
  kind,
  name,
  value,
  rules: NO_RULES,
  hasHardBudget: false,
  hasBudget: false,
  hasLimit: false,
  hasConcurrencyLimit: false,
  hasProviderLimit: false,
  providerLimitFailsClosed: false,
  countsCalls: false,
  ...some,
});
const body = (some: object = {}) => shapeOf("openai-chat", { model: "m", messages: [], ...some }, 100);
const refusedBy = (some: Partial<Rules>, request: object = {}, clientIp = "192.0.2.1", tags = {}) =>
  objection(grantOf(testKey({ rules: rules(some) })), body(request), tags, clientIp, NO_GUARDRAILS)?.rule;

test("a key without the scope is refused, whatever it asks for", () => {
  const refused = expect.objectContaining({ reason: "permission_denied" });
  expect(() => requireInference(testKey({ scopes: ["admin", "read"] }))).toThrow(refused);
  requireInference(testKey());
});

describe("each rule refuses what it is about, and nothing else", () => {
  test.each([
    ["allowed_models", { allowedModels: ["x"] }, {}],
    ["denied_models", { deniedModels: ["m*"] }, {}],
    ["deny_streaming", { denyStreaming: true }, { stream: true }],
    ["deny_tools", { denyTools: true }, { tools: [{ type: "function", function: { name: "f" } }] }],
    ["deny_tools", { denyTools: true }, { functions: [{ name: "f" }] }],
    ["deny_tools", { denyTools: true }, { web_search_options: {} }],
    ["max_input_tokens", { maxInputTokens: 24 }, {}],
    ["required_guardrails", { requiredGuardrails: ["pii"] }, {}],
    ["allowed_providers", { allowedProviders: [""] }, {}],
    ["allowed_ips", { allowedIps: ["10.0.0.0/8"] }, {}],
  ] as const)("%s", (rule, some, request) => {
    expect(refusedBy(some, request)).toBe(rule);
    expect(
      refusedBy(some, { ...request, model: "x", stream: false, tools: [], functions: [], web_search_options: null }),
    ).toBe(
      ["max_input_tokens", "required_guardrails", "allowed_providers", "allowed_ips"].includes(rule) ? rule : undefined,
    );
  });

  test("an input as long as the cap is let in, and an address in the range", () => {
    expect(refusedBy({ maxInputTokens: 25 })).toBeUndefined();
    expect(refusedBy({ allowedIps: ["192.0.2.0/24"] })).toBeUndefined();
    expect(refusedBy({ allowedIps: ["0.0.0.0/0"] }, {}, "")).toBe("allowed_ips");
  });

  test("a tag that is fixed otherwise", () => {
    expect(refusedBy({ fixedTags: ["team=a"] }, {}, "192.0.2.1", { team: "b" })).toBe("fixed_tags");
    expect(refusedBy({ fixedTags: ["team=a"] }, {}, "192.0.2.1", { team: "a", use: "b" })).toBeUndefined();
  });
});

describe("end users and tags", () => {
  const ann = attribute("end-user", "ann", "", { hasHardBudget: true, hasBudget: true });
  const search = attribute("tag", "team", "search", { rules: rules({ deniedModels: ["dear"], payloads: "none" }) });
  const grant = grantOf(testKey({ payloads: "full" }), attributeTable([ann, search]));

  test("bound the requests that name them, on top of what bounds the key", () => {
    const of = grantFor(grant, { endUser: "ann", tags: { team: "search" } });
    expect(of.key).toMatchObject({ hasHardBudget: true, hasBudget: true, hasLimit: false, payloads: "none" });
    expect(objection(of, body({ model: "dear" }), {}, "", NO_GUARDRAILS)?.rule).toBe("denied_models");
    const other = grantFor(grant, { endUser: "bob", tags: { team: "sales" } });
    expect(other).toBe(grant);
    expect(objection(other, body({ model: "dear" }), {}, "", NO_GUARDRAILS)).toBeUndefined();
  });

  test("are worked out once", () => {
    const one = grantFor(grant, { endUser: "ann", tags: { team: "search" } });
    expect(grantFor(grant, { endUser: "ann", tags: { team: "search", use: "x" } })).toBe(one);
  });

  test("that a key fixes count whatever the request says", () => {
    const fixed = grantOf(testKey({ endUser: "ann", rules: rules({ fixedTags: ["team=search"] }) }), grant.attributes);
    const attributes = attributesFor(fixed, "bob", { use: "chat" });
    expect(attributes).toEqual({ endUser: "ann", tags: { use: "chat", team: "search" } });
    expect(grantFor(fixed, attributes).key).toMatchObject({ hasHardBudget: true, payloads: "none" });
  });
});

test("a list of models shows those that the key may use", () => {
  const grant = grantOf(testKey({ rules: rules({ allowedModels: ["gpt-*"], deniedModels: ["gpt-4*"] }) }));
  expect(["gpt-3", "gpt-4o", "claude"].filter((model) => showsModel(grant, model))).toEqual(["gpt-3"]);
});
