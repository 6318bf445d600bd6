import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  modelAllowed,
  type PreparedRules,
  prepareRules,
  providerAllowed,
  type RuledRequest,
  refusalOf,
  withFixedTags,
} from "./decide.ts";
import { CACHES, isEmpty, mergeRules, NO_RULES, PAYLOADS, ruleProblem, type Rules, statedRules } from "./rules.ts";

const letters = fc.constantFrom("a", "b", "-");
const name = fc.string({ unit: letters, minLength: 1, maxLength: 4 });
const pattern = fc
  .tuple(fc.string({ unit: letters, maxLength: 3 }), fc.constantFrom("", "*"))
  .map(([beginning, star]) => beginning + star);
const list = fc.array(pattern, { maxLength: 4 });
const region = fc.oneof(fc.constant(""), name);
const ipRange = fc.constantFrom(
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.3",
  "::/0",
  "2001:db8::/32",
  "2001:DB8:0::/48",
  "",
);
const ip = fc.constantFrom(
  "10.1.2.3",
  "10.1.9.9",
  "10.9.9.9",
  "192.0.2.1",
  "2001:db8::1",
  "2001:db8:1::1",
  "::ffff:10.1.2.3",
  "",
  "?",
);
const guardrail = fc.constantFrom("pii", "secrets", "custom");
const rules: fc.Arbitrary<Rules> = fc.record({
  allowedModels: list,
  deniedModels: list,
  allowedProviders: list,
  deniedProviders: list,
  allowedRegions: list,
  deniedRegions: list,
  allowedIps: fc.array(ipRange, { maxLength: 3 }),
  maxInputTokens: fc.nat(5),
  maxOutputTokens: fc.nat(5),
  denyStreaming: fc.boolean(),
  denyTools: fc.boolean(),
  requiredGuardrails: fc.array(guardrail, { maxLength: 2 }),
  cache: fc.option(fc.constantFrom(...CACHES), { nil: undefined }),
  payloads: fc.option(fc.constantFrom(...PAYLOADS), { nil: undefined }),
  fixedTags: fc.array(fc.constantFrom("team=a", "team=b", "use=a"), { maxLength: 2 }),
});
/** Mostly unset, so that something is let through at all. */
const someRules: fc.Arbitrary<Rules> = fc
  .tuple(rules, fc.subarray(Object.keys(NO_RULES) as (keyof Rules)[], { maxLength: 4 }))
  .map(([all, kept]) => Object.assign({ ...NO_RULES }, ...kept.map((field) => ({ [field]: all[field] }))) as Rules);
const request: fc.Arbitrary<RuledRequest> = fc.record({
  model: name,
  stream: fc.boolean(),
  tools: fc.boolean(),
  clientIp: ip,
  inputTokens: fc.nat(6),
  tags: fc.constantFrom({}, { team: "a" }, { team: "b" }, { use: "a", team: "a" }),
});
const known = new Set(["pii"]);

/** Everything that rules decide of a request. */
const passes = (prepared: PreparedRules, one: RuledRequest): boolean => refusalOf(prepared, one, known) === undefined;

const runs = { numRuns: 2000 };

describe("merged rules are the strictest", () => {
  test("what they let in every level lets in, and what one level refuses they refuse", () => {
    let let_in = 0;
    fc.assert(
      fc.property(fc.array(someRules, { maxLength: 3 }), request, (levels, one) => {
        const merged = passes(prepareRules(mergeRules(levels)), one);
        const each = levels.every((level) => passes(prepareRules(level), one));
        if (!each) expect(merged).toBe(false);
        // Levels that share no provider, or fix a tag differently, leave nothing though each by itself lets the request in.
        if (each && prepareRules(mergeRules(levels)).impossible === undefined) expect(merged).toBe(true);
        if (merged) let_in += 1;
      }),
      runs,
    );
    expect(let_in).toBeGreaterThan(100);
  });

  test("exactly so for models, providers and regions, caps and choices", () => {
    fc.assert(
      fc.property(fc.array(rules, { maxLength: 3 }), name, region, fc.nat(6), (levels, one, where, tokens) => {
        const merged = mergeRules(levels);
        expect(modelAllowed(merged, one)).toBe(levels.every((level) => modelAllowed(level, one)));
        expect(providerAllowed(merged, one, where)).toBe(levels.every((level) => providerAllowed(level, one, where)));
        const under = (cap: number): boolean => cap === 0 || tokens <= cap;
        expect(under(merged.maxOutputTokens)).toBe(levels.every((level) => under(level.maxOutputTokens)));
        const rank = (order: readonly unknown[], choice: unknown): number =>
          choice === undefined ? order.length : order.indexOf(choice);
        const lowest = (order: readonly unknown[], choices: unknown[]): number =>
          Math.min(order.length, ...choices.map((choice) => rank(order, choice)));
        expect(rank(CACHES, merged.cache)).toBe(
          lowest(
            CACHES,
            levels.map(({ cache }) => cache),
          ),
        );
        expect(rank(PAYLOADS, merged.payloads)).toBe(
          lowest(
            PAYLOADS,
            levels.map(({ payloads }) => payloads),
          ),
        );
      }),
      runs,
    );
  });

  test("in any order, in any grouping, and any number of times", () => {
    fc.assert(
      fc.property(rules, rules, rules, (a, b, c) => {
        const all = mergeRules([a, b, c]);
        expect(mergeRules([c, a, b])).toEqual(all);
        expect(mergeRules([mergeRules([a, b]), c])).toEqual(all);
        expect(mergeRules([a, mergeRules([b, c])])).toEqual(all);
        expect(mergeRules([all, b, all])).toEqual(all);
        expect(mergeRules([all])).toEqual(all);
      }),
      runs,
    );
  });

  test("levels with nothing in common allow nothing, which is not an empty list", () => {
    const of = (some: Partial<Rules>): Rules => ({ ...NO_RULES, ...some });
    expect(mergeRules([of({ allowedModels: ["gpt-*"] }), of({ allowedModels: ["claude-3"] })]).allowedModels).toEqual([
      "",
    ]);
    expect(mergeRules([of({ allowedIps: ["10.0.0.0/8"] }), of({ allowedIps: ["2001:db8::/32"] })]).allowedIps).toEqual([
      "",
    ]);
  });
});

test("a region that is not stated may be a denied one, and is none of the allowed", () => {
  expect(providerAllowed({ ...NO_RULES, deniedRegions: ["us*"] }, "p", "")).toBe(false);
  expect(providerAllowed({ ...NO_RULES, allowedRegions: ["*"] }, "p", "")).toBe(false);
  expect(providerAllowed({ ...NO_RULES, deniedProviders: ["q"] }, "p", "")).toBe(true);
});

test("a required guardrail that does not exist refuses, by name", () => {
  const prepared = prepareRules({ ...NO_RULES, requiredGuardrails: ["pii", "secrets"] });
  const one = { model: "m", stream: false, tools: false, clientIp: "", inputTokens: 1, tags: {} };
  expect(refusalOf(prepared, one, new Set(["pii"]))).toMatchObject({
    rule: "required_guardrails",
    message: expect.stringContaining('"secrets"'),
  });
  expect(refusalOf(prepared, one, new Set(["pii", "secrets"]))).toBeUndefined();
});

test("fixed tags are there whatever the request says, and it may not say otherwise", () => {
  const prepared = prepareRules({ ...NO_RULES, fixedTags: ["team=search"] });
  const one = { model: "m", stream: false, tools: false, clientIp: "", inputTokens: 1 };
  const refused = (tags: Record<string, string>) => refusalOf(prepared, { ...one, tags }, known)?.rule;
  expect(withFixedTags(prepared, {})).toEqual({ team: "search" });
  expect(withFixedTags(prepared, { use: "chat" })).toEqual({ team: "search", use: "chat" });
  expect(withFixedTags(prepared, { team: "sales" })).toEqual({ team: "search" });
  expect([refused({}), refused({ team: "search" }), refused({ team: "sales" })]).toEqual([
    undefined,
    undefined,
    "fixed_tags",
  ]);
});

test("rules that mean something else than they say are refused", () => {
  const problem = (some: Partial<Rules>): string | undefined => ruleProblem({ ...NO_RULES, ...some })?.param;
  expect(problem({ deniedModels: ["gpt-*-mini"] })).toBe("denied_models");
  expect(problem({ allowedModels: ["gpt-*", "*", ""] })).toBeUndefined();
  expect(problem({ deniedRegions: ["*eu"] })).toBe("denied_regions");
  expect(problem({ allowedIps: ["10.0.0.1/8"] })).toBe("allowed_ips");
  expect(problem({ allowedIps: ["10.0.0.0/8", "::1", ""] })).toBeUndefined();
  expect(problem({ requiredGuardrails: ["PII!"] })).toBe("required_guardrails");
  expect(problem({ fixedTags: ["team"] })).toBe("fixed_tags");
  expect(problem({ fixedTags: ["team=a,b"] })).toBe("fixed_tags");
  expect(problem({ fixedTags: ["team=search"] })).toBeUndefined();
});

test("what is stored is what is set", () => {
  expect(isEmpty(NO_RULES)).toBe(true);
  expect(statedRules({ ...NO_RULES, denyTools: true, cache: "off" })).toEqual({ denyTools: true, cache: "off" });
});
