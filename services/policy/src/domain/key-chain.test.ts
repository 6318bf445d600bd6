import { modelAllowed, prepareRules, providerAllowed, type RuledRequest, refusalOf } from "@weir/rules";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type KeyTerms, termsOfChain } from "./key-chain.ts";
import type { KeyPolicy, Scope } from "./key-policy.ts";
import { NO_RULES, type Rules } from "./rules.ts";
import { type AskedTerms, LONGEST_TTL_MS, MINTABLE, mintable } from "./short-lived.ts";

const NOW_MS = 1_000_000;

const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 });
const pattern = fc.tuple(name, fc.constantFrom("", "*")).map(([beginning, star]) => beginning + star);
const patterns = fc.array(pattern, { maxLength: 3 });
const allRules = fc.record({
  allowedModels: patterns,
  deniedModels: patterns,
  allowedProviders: patterns,
  deniedProviders: patterns,
  allowedRegions: patterns,
  deniedRegions: patterns,
  allowedIps: fc.array(fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"), { maxLength: 2 }),
  maxInputTokens: fc.nat(5),
  maxOutputTokens: fc.nat(5),
  denyStreaming: fc.boolean(),
  denyTools: fc.boolean(),
  requiredGuardrails: fc.subarray(["pii", "secrets"]),
});
/** Mostly unset, so that something is let through at all. */
const rules: fc.Arbitrary<Rules> = fc
  .tuple(allRules, fc.subarray(Object.keys(NO_RULES) as (keyof Rules)[], { maxLength: 3 }))
  .map(([all, kept]) => ({
    ...NO_RULES,
    ...Object.fromEntries(Object.entries(all).filter(([field]) => kept.includes(field as keyof Rules))),
  }));
const scopes: fc.Arbitrary<Scope[]> = fc.subarray(["inference", "read", "admin", "billing"], { minLength: 1 });
const expiry = fc.option(fc.integer({ min: NOW_MS + 1, max: NOW_MS + 2 * LONGEST_TTL_MS }), { nil: undefined });
const endUser = fc.constantFrom("", "ann", "bob");
const terms: fc.Arbitrary<KeyTerms> = fc.record({
  scopes,
  rules,
  expiresAtMs: expiry,
  // Nobody changes it, and a child has its parent's.
  endUser: fc.constantFrom("", "ann"),
});
const asked: fc.Arbitrary<AskedTerms> = fc.record({
  ttlMs: fc.option(fc.integer({ min: 60_000, max: LONGEST_TTL_MS }), { nil: undefined }),
  scopes: fc.subarray<Scope>([...MINTABLE]),
  rules,
  endUser,
});
const request: fc.Arbitrary<RuledRequest> = fc.record({
  model: name,
  stream: fc.boolean(),
  tools: fc.boolean(),
  clientIp: fc.constantFrom("10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1"),
  inputTokens: fc.nat(6),
  tags: fc.constant({}),
});

/** As the directory makes it of what is written down. */
const policyOf = (chain: readonly KeyTerms[], ancestors: readonly string[]): KeyPolicy => {
  const effective = termsOfChain(chain);
  return {
    keyId: `key ${chain.length}`,
    hash: new Uint8Array(32),
    retired: [],
    ancestors,
    guards: [],
    organizationId: "o",
    workspaceId: "w",
    workspace: "w",
    projectId: "p",
    name: "k",
    operator: false,
    payloads: "hashes",
    budgets: [],
    limits: [],
    hadBudget: false,
    levels: [],
    ...effective,
    keyRules: effective.rules,
  };
};

/** A first key and what was minted from it, one from the other, as far as that was granted. */
function mintedChain(first: KeyTerms, wishes: readonly AskedTerms[]): KeyTerms[] {
  const chain = [first];
  for (const wish of wishes) {
    const ancestors = chain.slice(1).map((_, at) => `key ${at + 1}`);
    try {
      chain.push(mintable(policyOf(chain, ancestors), wish, 3_600_000, NOW_MS));
    } catch {
      break;
    }
  }
  return chain;
}

const known = new Set(["pii"]);
const never = (expiresAtMs: number | undefined): number => expiresAtMs ?? Infinity;

function expectNarrower(inner: KeyTerms, outer: KeyTerms, one: RuledRequest, region: string, tokens: number): boolean {
  for (const scope of inner.scopes) expect(outer.scopes).toContain(scope);
  expect(never(inner.expiresAtMs)).toBeLessThanOrEqual(never(outer.expiresAtMs));
  if (outer.endUser !== "") expect(inner.endUser).toBe(outer.endUser);
  const passes = (level: Rules): boolean => refusalOf(prepareRules(level), one, known) === undefined;
  if (passes(inner.rules)) expect(passes(outer.rules)).toBe(true);
  if (modelAllowed(inner.rules, one.model)) expect(modelAllowed(outer.rules, one.model)).toBe(true);
  if (providerAllowed(inner.rules, one.model, region))
    expect(providerAllowed(outer.rules, one.model, region)).toBe(true);
  const under = (cap: number): boolean => cap === 0 || tokens <= cap;
  if (under(inner.rules.maxOutputTokens)) expect(under(outer.rules.maxOutputTokens)).toBe(true);
  return passes(inner.rules);
}

describe("a key that was minted from another", () => {
  const runs = { numRuns: 1_000 };

  test("may never more than it, however many lie between, by what is written down for it alone", () => {
    let minted = 0;
    let passed = 0;
    fc.assert(
      fc.property(
        terms,
        fc.array(asked, { minLength: 1, maxLength: 5 }),
        request,
        name,
        fc.nat(6),
        (first, wishes, one, region, tokens) => {
          const chain = mintedChain(first, wishes);
          expect(chain.length).toBeLessThanOrEqual(5);
          for (const [at, child] of chain.entries()) {
            if (at === 0) continue;
            minted += 1;
            for (const scope of child.scopes) expect(MINTABLE).toContain(scope);
            expect(never(child.expiresAtMs)).toBeLessThanOrEqual(NOW_MS + LONGEST_TTL_MS);
            for (const above of chain.slice(0, at)) if (expectNarrower(child, above, one, region, tokens)) passed += 1;
          }
        },
      ),
      runs,
    );
    expect(minted).toBeGreaterThan(500);
    expect(passed).toBeGreaterThan(100);
  });

  test("nor than any of them has become since", () => {
    fc.assert(
      fc.property(
        fc.array(terms, { minLength: 1, maxLength: 4 }),
        request,
        name,
        fc.nat(6),
        (chain, one, region, tokens) => {
          const effective = termsOfChain(chain);
          for (const level of chain) expectNarrower(effective, level, one, region, tokens);
        },
      ),
      runs,
    );
  });
});
