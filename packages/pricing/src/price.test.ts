import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundOf, costBoundOf, FRAMING_TOKENS, INSTRUCTION_TOKENS, noMedia, tokensBoundOf } from "./bound.ts";
import { costOf, flatPrice, type Price, type Rates, type TokenUsage, versionFor } from "./price.ts";
import { noFees, toolCostBound, type ToolFees } from "./tools.ts";

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
  imageInputNanosPerMtok: rate,
  imageOutputNanosPerMtok: rate,
  cachedAudioInputNanosPerMtok: rate,
  reasoningNanosPerMtok: rate,
});
const prices: fc.Arbitrary<Price> = fc
  .record({
    base: rates,
    requestNanos: rate,
    batchPercent: fc.integer({ min: 0, max: 100 }),
    tiers: fc.array(fc.record({ above: fc.nat(400_000), rates }), { maxLength: 3 }),
  })
  .map(({ base, requestNanos, batchPercent, tiers }) => ({
    ...base,
    requestNanos,
    batchPercent,
    version: "test",
    tiers: tiers.sort((a, b) => a.above - b.above).map((tier) => ({ ...tier.rates, aboveInputTokens: tier.above })),
  }));

const share = fc.double({ min: 0, max: 1, noNaN: true });

/** Some usage that the bound allows, its parts within their totals. */
function usageWithin(
  bound: { inputTokens: number; outputTokens: number; sound?: boolean | undefined; pictures?: boolean | undefined },
  longCache: boolean,
  random: Iterator<number>,
): TokenUsage {
  const some = (most: number): number => Math.floor((random.next().value as number) * most);
  const inputTokens = some(bound.inputTokens);
  const outputTokens = some(bound.outputTokens);
  const cachedInputTokens = some(inputTokens);
  const cacheWriteTokens = some(inputTokens - cachedInputTokens);
  // Sound and pictures may lie among what is cached.
  const audioInputTokens = bound.sound === false ? 0 : some(inputTokens);
  const imageInputTokens = bound.pictures === false ? 0 : some(inputTokens - audioInputTokens);
  const audioOutputTokens = some(outputTokens);
  const imageOutputTokens = some(outputTokens - audioOutputTokens);
  return {
    inputTokens,
    outputTokens,
    cachedInputTokens,
    cacheWriteTokens,
    cacheWriteLongTokens: longCache ? some(cacheWriteTokens) : 0,
    audioInputTokens,
    imageInputTokens,
    audioOutputTokens,
    imageOutputTokens,
    reasoningTokens: some(outputTokens - audioOutputTokens - imageOutputTokens),
    batch: some(2) === 1,
  };
}

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
    fc.assert(
      fc.property(sizes, prices, fc.infiniteStream(share), (size, price, random) => {
        const { images, audioBytes, unbounded, ...rest } = size;
        const request = { ...rest, parts: { images, audioBytes, unbounded } };
        const bound = tokensBoundOf(request);
        if (bound === undefined) throw new Error("a model with a window has a bound");
        const within = usageWithin(bound, size.longCache, random);
        const most = boundOf(request, price);
        expect(most).toBeDefined();
        expect(costOf(within, price) <= (most ?? 0n)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("grows with what it is of", () => {
    const count = fc.nat(4_000_000);
    fc.assert(
      fc.property(prices, count, count, count, count, (price, input, output, moreInput, moreOutput) => {
        const small = costBoundOf({ inputTokens: input, outputTokens: output }, price);
        const large = costBoundOf({ inputTokens: input + moreInput, outputTokens: output + moreOutput }, price);
        expect(large >= small).toBe(true);
      }),
    );
  });

  it("stays exact for the largest counts that the contracts carry", () => {
    const most = 0xffff_ffff;
    const dear = flatPrice({ inputNanosPerMtok: 1_000n * DOLLAR, outputNanosPerMtok: 1_000n * DOLLAR }, "test");
    const cost = costOf(usage(most, most), dear);
    expect(cost).toBe(BigInt(most) * 2n * 1_000_000n);
    expect(cost < 2n ** 63n).toBe(true);
    expect(costBoundOf({ inputTokens: most, outputTokens: most }, dear)).toBe(cost);
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

describe("tools that a provider runs", () => {
  const fee = fc.option(fc.bigInt({ min: 0n, max: DOLLAR }), { nil: undefined });
  const fees: fc.Arbitrary<ToolFees> = fc.record({
    webSearchNanos: fee,
    previewSearchNanos: fee,
    fileSearchNanos: fee,
    codeSessionNanos: fee,
    otherNanos: fee,
    searchesPerRequest: fc.boolean(),
    maxCalls: fc.nat(3),
    byItself: fc.constant(false),
  });

  it("cost no more than their bound, and have none where a fee or their number is unknown", () => {
    const tools = fc.record({
      calls: fc.nat(20),
      webSearch: fc.boolean(),
      previewSearch: fc.boolean(),
      fileSearch: fc.boolean(),
      other: fc.boolean(),
      codeSessions: fc.nat(8),
    });
    fc.assert(
      fc.property(fees, tools, fc.infiniteStream(share), (of, bound, random) => {
        const most = toolCostBound(bound, of);
        const price: Price = { ...mini, tools: of };
        const unlimited = bound.calls === 0 && of.maxCalls === 0;
        // A search that is paid once a request needs no limit.
        const numbered = of.searchesPerRequest && bound.webSearch ? 30 : bound.calls || of.maxCalls;
        let left = bound.calls || of.maxCalls;
        const some = (present: boolean): number => {
          const taken = present ? Math.round((random.next().value as number) * left) : 0;
          left -= taken;
          return taken;
        };
        const toolCalls = {
          webSearches: of.searchesPerRequest ? (bound.webSearch ? numbered : 0) : some(bound.webSearch),
          previewSearches: some(bound.previewSearch),
          fileSearches: some(bound.fileSearch),
          others: some(bound.other),
          codeSessions: bound.codeSessions,
        };
        if (most === undefined) {
          const known = [
            of.webSearchNanos,
            of.previewSearchNanos,
            of.fileSearchNanos,
            of.otherNanos,
            of.codeSessionNanos,
          ];
          expect(unlimited || known.includes(undefined)).toBe(true);
        } else expect(costOf({ ...usage(0, 0), toolCalls }, price) <= most).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it("say in the price's version that a fee is missing", () => {
    const toolCalls = { webSearches: 1, previewSearches: 0, fileSearches: 0, codeSessions: 0, others: 0 };
    expect(versionFor(usage(1, 1, { toolCalls }), mini)).toBe("test+without-tool-fees");
    expect(versionFor(usage(1, 1, { toolCalls }), { ...mini, tools: { ...noFees, webSearchNanos: 0n } })).toBe("test");
    expect(versionFor(usage(1, 1), mini)).toBe("test");
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
