import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundOf, costBoundOf, FRAMING_TOKENS, INSTRUCTION_TOKENS, noMedia, tokensBoundOf } from "./bound.ts";
import { costOf, flatPrice, type Price, type Rates } from "./price.ts";

const DOLLAR = 1_000_000_000n;
const mini = flatPrice(
  {
    inputNanosPerMtok: 150_000_000n,
    outputNanosPerMtok: 600_000_000n,
    cachedInputNanosPerMtok: 75_000_000n,
  },
  "test",
);

const usage = (inputTokens: number, outputTokens: number, parts: Partial<Parameters<typeof costOf>[0]> = {}) => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  ...parts,
});

const rate = fc.bigInt({ min: 0n, max: 200n * DOLLAR });
const rates: fc.Arbitrary<Rates> = fc.record({
  inputNanosPerMtok: rate,
  outputNanosPerMtok: rate,
  cachedInputNanosPerMtok: rate,
  cacheWriteNanosPerMtok: rate,
  cacheWriteLongNanosPerMtok: rate,
  audioInputNanosPerMtok: rate,
  audioOutputNanosPerMtok: rate,
});
const prices: fc.Arbitrary<Price> = fc
  .record({
    base: rates,
    requestNanos: rate,
    tiers: fc.array(fc.record({ above: fc.nat(400_000), rates }), { maxLength: 3 }),
  })
  .map(({ base, requestNanos, tiers }) => ({
    ...base,
    requestNanos,
    version: "test",
    tiers: tiers.sort((a, b) => a.above - b.above).map((tier) => ({ ...tier.rates, aboveInputTokens: tier.above })),
  }));

describe("what a request did cost", () => {
  it("is exact to the nano-dollar", () => {
    expect(costOf(usage(1_000_000, 1_000_000), mini)).toBe(750_000_000n);
    expect(costOf(usage(1000, 100), mini)).toBe(210_000n);
  });

  it("rounds up, also for less than a nano-dollar a token", () => {
    const cheap = flatPrice({ inputNanosPerMtok: 37_500_000n, outputNanosPerMtok: 1n }, "test");
    expect(costOf(usage(1, 0), cheap)).toBe(38n);
    expect(costOf(usage(0, 1), cheap)).toBe(1n);
    expect(costOf(usage(0, 0), cheap)).toBe(0n);
  });

  it("takes cached and written tokens out of the input, and sound out of both", () => {
    const price: Price = {
      inputNanosPerMtok: 10n * DOLLAR,
      outputNanosPerMtok: 20n * DOLLAR,
      cachedInputNanosPerMtok: 1n * DOLLAR,
      cacheWriteNanosPerMtok: 12n * DOLLAR,
      cacheWriteLongNanosPerMtok: 16n * DOLLAR,
      audioInputNanosPerMtok: 100n * DOLLAR,
      audioOutputNanosPerMtok: 200n * DOLLAR,
      requestNanos: 7n,
      version: "test",
      tiers: [],
    };
    const parts = { cachedInputTokens: 100, cacheWriteTokens: 50, cacheWriteLongTokens: 20, audioInputTokens: 10 };
    const expected =
      840 * 10_000 + 100 * 1000 + 30 * 12_000 + 20 * 16_000 + 10 * 100_000 + 95 * 20_000 + 5 * 200_000 + 7;
    expect(costOf(usage(1000, 100, { ...parts, audioOutputTokens: 5 }), price)).toBe(BigInt(expected));
  });

  it("charges all tokens at the tier that the input reaches", () => {
    const long = {
      ...mini,
      inputNanosPerMtok: 300_000_000n,
      outputNanosPerMtok: 900_000_000n,
      aboveInputTokens: 200_000,
    };
    const tiered: Price = { ...mini, tiers: [long] };
    expect(costOf(usage(200_000, 1000), tiered)).toBe(30_600_000n);
    expect(costOf(usage(200_001, 1000), tiered)).toBe(60_900_300n);
  });

  it("never gives money back for a provider's miscount", () => {
    expect(costOf(usage(10, 0, { cachedInputTokens: 500 }), mini)).toBe(37_500n);
  });
});

describe("the bound", () => {
  it("is never below the cost of a usage that is within it", () => {
    const sizes = fc.record({
      inputBytes: fc.nat(2_000_000),
      images: fc.nat(3),
      audioBytes: fc.nat(100_000),
      unbounded: fc.nat(1),
      n: fc.integer({ min: 1, max: 8 }),
      outputCap: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
      contextWindow: fc.integer({ min: 1000, max: 2_000_000 }),
      maxOutput: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
      longCache: fc.boolean(),
    });
    const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(sizes, prices, shares, (size, price, [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0]) => {
        const { images, audioBytes, unbounded, ...rest } = size;
        const request = { ...rest, parts: { images, audioBytes, unbounded } };
        const bound = tokensBoundOf(request);
        if (bound === undefined) throw new Error("a model with a window has a bound");
        const inputTokens = Math.floor(a * bound.inputTokens);
        const cachedInputTokens = Math.floor(b * inputTokens);
        const cacheWriteTokens = Math.floor(c * (inputTokens - cachedInputTokens));
        const outputTokens = Math.floor(d * bound.outputTokens);
        const within = {
          inputTokens,
          outputTokens,
          cachedInputTokens,
          cacheWriteTokens,
          cacheWriteLongTokens: size.longCache ? Math.floor(e * cacheWriteTokens) : 0,
          audioInputTokens: bound.sound ? Math.floor(f * (inputTokens - cachedInputTokens - cacheWriteTokens)) : 0,
          audioOutputTokens: Math.floor(g * outputTokens),
        };
        const most = boundOf(request, price);
        expect(most).toBeDefined();
        expect(costOf(within, price) <= (most ?? 0n)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("counts a token for every byte and what providers add", () => {
    const bound = tokensBoundOf({ ...nothing, inputBytes: 500, outputCap: 100, contextWindow: 8192 });
    expect(bound).toMatchObject({ inputTokens: 500 + FRAMING_TOKENS + INSTRUCTION_TOKENS, outputTokens: 100 });
  });

  it("is the whole window for what cannot be bounded, and none without a window", () => {
    const remote = { ...nothing, parts: { ...noMedia, unbounded: 1 }, outputCap: 100 };
    expect(tokensBoundOf({ ...remote, contextWindow: 128_000 })?.inputTokens).toBe(128_000);
    expect(tokensBoundOf(remote)).toBeUndefined();
    expect(boundOf(remote, mini)).toBeUndefined();
  });

  it("needs some limit on the output", () => {
    expect(tokensBoundOf({ ...nothing, inputBytes: 10 })).toBeUndefined();
    expect(tokensBoundOf({ ...nothing, inputBytes: 10, maxOutput: 16_384 })?.outputTokens).toBe(16_384);
    expect(tokensBoundOf({ ...nothing, inputBytes: 10, outputCap: 9, n: 3, maxOutput: 16_384 })?.outputTokens).toBe(27);
  });

  it("looks at the tiers that may be reached, and only at those", () => {
    const dear = { ...mini, inputNanosPerMtok: 9n * DOLLAR, aboveInputTokens: 1000 };
    const tiered = { ...mini, tiers: [dear] };
    expect(costBoundOf({ inputTokens: 1000, outputTokens: 0 }, tiered)).toBe(150_000n);
    expect(costBoundOf({ inputTokens: 1001, outputTokens: 0 }, tiered)).toBe(9_009_000n);
  });
});

const nothing = {
  inputBytes: 0,
  parts: noMedia,
  n: 1,
  outputCap: undefined,
  contextWindow: undefined,
  maxOutput: undefined,
};
