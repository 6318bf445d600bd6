import { flatPrice } from "@weir/pricing";
import { describe, expect, test } from "vitest";
import { type RecordedCall, repricedCost, RepricingSums, Sheet, type SheetPrice } from "./repricing.ts";

const usage = { inputTokens: 1_000_000, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0 };
const dollars = (of: bigint): bigint => of * 1_000_000_000n;
const call = (some: Partial<RecordedCall> = {}): RecordedCall => ({
  index: 1,
  atMs: 1_000,
  workspaceId: "w",
  name: "fast",
  priceVersion: "book",
  attempts: [{ provider: "p", model: "m", usage, costNanos: dollars(1n) }],
  ...some,
});
const priced = (perMtok: bigint | undefined, some: Partial<SheetPrice> = {}): SheetPrice => ({
  provider: "p",
  model: "m",
  name: "",
  workspaceId: "",
  fromMs: 0,
  toMs: 0,
  price: perMtok === undefined ? undefined : flatPrice({ inputNanosPerMtok: dollars(perMtok) }, "sheet"),
  ...some,
});

describe("a price of the sheet", () => {
  test.each<readonly [string, SheetPrice[], bigint | undefined]>([
    ["is the first that fits", [priced(9n, { model: "x" }), priced(2n), priced(3n)], 2n],
    [
      "is that of the name and workspace",
      [priced(9n, { name: "slow" }), priced(9n, { workspaceId: "v" }), priced(4n)],
      4n,
    ],
    [
      "is that of the time of the request",
      [priced(9n, { toMs: 1_000 }), priced(9n, { fromMs: 1_001 }), priced(5n)],
      5n,
    ],
    ["may be unknown, and is then not another's", [priced(undefined), priced(3n)], undefined],
    ["may be missing", [], undefined],
  ])("%s", (_name, prices, expected) => {
    expect(repricedCost(call(), new Sheet(prices))).toBe(expected === undefined ? undefined : dollars(expected));
  });

  test("counts for each attempt; a call of which one has none has none", () => {
    const [one] = call().attempts;
    if (one === undefined) throw new Error("there is one");
    const two = call({ attempts: [one, { ...one, model: "other" }] });
    expect(repricedCost(two, new Sheet([priced(2n), priced(3n, { model: "other" })]))).toBe(dollars(5n));
    expect(repricedCost(two, new Sheet([priced(2n)]))).toBeUndefined();
  });
});

test("sums part workspaces, names, models and days, and leave out what has no price", () => {
  const sums = new RepricingSums(true);
  sums.add(call(), dollars(2n));
  sums.add(call({ priceVersion: "other" }), dollars(2n));
  sums.add(call({ workspaceId: "v" }), undefined);
  sums.add(call({ atMs: 86_400_000 }), dollars(1n));
  // Nothing was charged: nothing to price.
  sums.add(call({ attempts: [] }), undefined);
  const { groups, ...total } = sums.total();
  expect(total).toEqual({ records: 5n, recordedNanos: dollars(3n), repricedNanos: dollars(5n), unpriced: 1n });
  expect(groups).toMatchObject([
    { workspaceId: "w", day: "1970-01-01", calls: 2n, recordedVersions: ["book", "other"], inputTokens: 2_000_000n },
    { workspaceId: "w", day: "1970-01-02", calls: 1n },
    { workspaceId: "v", calls: 1n, unpriced: 1n, recordedNanos: 0n, totalNanos: dollars(1n) },
  ]);
});
