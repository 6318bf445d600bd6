import { describe, expect, it } from "vitest";
import { fingerprint } from "./fingerprint.ts";
import { type Contract, planOf, priceAt } from "./plan.ts";
import { flatPrice } from "./price.ts";
import { noFees } from "./tools.ts";

const MAY = Date.UTC(2026, 4, 1);
const JUNE = Date.UTC(2026, 5, 1);
const JULY = Date.UTC(2026, 6, 1);
const price = (dollars: bigint) => flatPrice({ inputNanosPerMtok: dollars * 1_000_000_000n }, "book");
const always = [{ fromMs: 0, price: price(10n) }];
const contract = (more: Partial<Contract> = {}): Contract => ({
  id: "acme",
  workspaces: ["team"],
  provider: "openai",
  models: ["gpt-4*"],
  fromMs: MAY,
  toMs: JULY,
  terms: { kind: "discount", basisPoints: 1250 },
  ...more,
});
const inputAt = (plan: ReturnType<typeof planOf>, workspace: string, atMs: number) =>
  priceAt(plan, workspace, atMs)?.inputNanosPerMtok;

describe("the price that counts", () => {
  it("is one for all where nothing else is said", () => {
    const plan = planOf("openai", "gpt-4o", always, [contract({ provider: "other" }), contract({ models: ["o3"] })]);
    expect(plan).toEqual({ always: always[0]?.price, dated: [] });
    expect(priceAt(planOf("openai", "gpt-4o", [], []), "team", MAY)).toBeUndefined();
  });

  it("is the contract's for its workspace, in its time", () => {
    const plan = planOf("openai", "gpt-4o", always, [contract()]);
    expect(inputAt(plan, "team", MAY - 1)).toBe(10_000_000_000n);
    expect(inputAt(plan, "team", MAY)).toBe(8_750_000_000n);
    expect(inputAt(plan, "team", JULY - 1)).toBe(8_750_000_000n);
    expect(inputAt(plan, "team", JULY)).toBe(10_000_000_000n);
    expect(inputAt(plan, "others", JUNE)).toBe(10_000_000_000n);
  });

  it("is what was known at the time of the request, where the list price changes under a contract", () => {
    const plan = planOf(
      "openai",
      "gpt-4o",
      [...always, { fromMs: JUNE, price: price(4n) }],
      [contract({ workspaces: [] })],
    );
    expect(inputAt(plan, "any", JUNE - 1)).toBe(8_750_000_000n);
    expect(inputAt(plan, "any", JUNE)).toBe(3_500_000_000n);
    expect(inputAt(plan, "any", JULY)).toBe(4_000_000_000n);
  });

  it("may be the contract's alone, also where no book knows the model", () => {
    const terms = { kind: "price", price: price(1n) } as const;
    const plan = planOf("openai", "gpt-4-secret", [], [contract({ terms, toMs: 0 })]);
    expect(inputAt(plan, "team", JUNE)).toBe(1_000_000_000n);
    expect(priceAt(plan, "others", JUNE)).toBeUndefined();
    expect(priceAt(plan, "team", MAY - 1)).toBeUndefined();
  });

  it("is the workspace's own before everybody's, and else the first one named", () => {
    const general = contract({ id: "all", workspaces: [], terms: { kind: "discount", basisPoints: 5000 } });
    const second = contract({ id: "second", terms: { kind: "discount", basisPoints: 9000 } });
    const plan = planOf("openai", "gpt-4o", always, [general, contract(), second]);
    expect(inputAt(plan, "team", JUNE)).toBe(8_750_000_000n);
    expect(inputAt(plan, "others", JUNE)).toBe(5_000_000_000n);
  });

  it("names the book, the contract and what it says", () => {
    const [first, other] = [1250, 1300].map((basisPoints) => {
      const plan = planOf("openai", "gpt-4o", always, [contract({ terms: { kind: "discount", basisPoints } })]);
      return priceAt(plan, "team", JUNE)?.version;
    });
    expect(first).toMatch(/^book\+contract:acme#[0-9a-f]{16}$/);
    expect(other).not.toBe(first);
  });
});

describe("a price's fingerprint", () => {
  it("differs with every amount, and not with the name", () => {
    const base = { ...price(1n), tools: noFees };
    const others = [
      { ...base, requestNanos: 1n },
      { ...base, tiers: [{ ...base, aboveInputTokens: 5 }] },
      { ...base, tools: { ...base.tools, webSearchNanos: 0n } },
      { ...base, outputNanosPerMtok: 1n },
    ];
    expect(new Set([base, ...others].map(fingerprint)).size).toBe(5);
    expect(fingerprint({ ...base, version: "another" })).toBe(fingerprint(base));
  });
});
