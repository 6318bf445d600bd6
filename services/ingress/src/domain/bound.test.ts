import { flatPrice } from "@weir/pricing";
import { NO_RULES, type Rules } from "@weir/rules";
import { expect, test } from "vitest";
import { boundOf, type Candidate, DEFAULT_OUTPUT_CAP, effectiveOutputCap } from "./bound.ts";
import { type Grant, grantOf } from "./grant.ts";
import type { RequestShape } from "./shape.ts";
import { testKey } from "./test-key.ts";

const grant = (some: Partial<Rules> = {}, budget = true): Grant =>
  grantOf(testKey({ hasBudget: budget, rules: { ...NO_RULES, ...some } }));

const shape = (some: Partial<RequestShape> = {}): RequestShape => ({
  model: "m",
  stream: false,
  outputCap: undefined,
  capNames: [],
  choices: 1,
  textBytes: 1_000,
  media: { images: 0, audioBytes: 0 },
  unbounded: undefined,
  premium: undefined,
  tools: false,
  instructed: false,
  generates: true,
  endUser: "",
  ...some,
});

const price = (perMtok: bigint) => flatPrice({ inputNanosPerMtok: perMtok, outputNanosPerMtok: perMtok }, "test");
const candidate = (some: Partial<Candidate> = {}): Candidate => ({
  provider: "a",
  model: "m",
  region: "",
  price: price(1_000_000_000n),
  contextWindow: 100_000,
  maxOutputTokens: 8_000,
  ...some,
});

test("the dearest permitted candidate counts", () => {
  const cheap = candidate();
  const dear = candidate({ provider: "b", price: price(9_000_000_000n) });
  const both = boundOf(shape(), 100, [cheap, dear], grant());
  const one = boundOf(shape(), 100, [cheap, dear], grant({ allowedProviders: ["a"] }));
  expect(both.costNanos).toBe(one.costNanos * 9n);
});

test("what is dearer than the list price is refused where a budget has to bound it", () => {
  const premium = shape({ premium: "service_tier" });
  expect(() => boundOf(premium, 100, [candidate()], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown", param: "service_tier" }),
  );
  expect(boundOf(premium, 100, [candidate()], grant({}, false)).costNanos).toBeGreaterThan(0n);
});

test("a price that is not known refuses a budget's request and never counts as zero", () => {
  const unpriced = candidate({ price: undefined });
  expect(() => boundOf(shape(), 100, [unpriced], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
  expect(() => boundOf(shape(), 100, [candidate(), unpriced], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
  expect(() => boundOf(shape(), 100, undefined, grant())).toThrow(expect.objectContaining({ reason: "price_unknown" }));
  expect(boundOf(shape(), 100, [unpriced], grant({}, false)).costNanos).toBe(0n);
});

test("what cannot be bounded costs the whole window, and is refused where that is unknown", () => {
  const unbounded = shape({ unbounded: "file id" });
  expect(boundOf(unbounded, 100, [candidate()], grant()).inputTokens).toBe(100_000);
  expect(() => boundOf(unbounded, 100, [candidate({ contextWindow: 0 })], grant())).toThrow(
    expect.objectContaining({ reason: "price_unknown" }),
  );
});

test("several answers each cost their cap", () => {
  expect(boundOf(shape({ choices: 3 }), 100, [candidate()], grant()).outputTokens).toBe(300);
});

test("a cap: the client's, under the rules', else the model's own, so that a bound exists", () => {
  const models = [candidate()];
  expect(effectiveOutputCap(shape({ outputCap: 50 }), grant(), models)).toBe(50);
  expect(effectiveOutputCap(shape({ outputCap: 50 }), grant({ maxOutputTokens: 20 }), models)).toBe(20);
  expect(effectiveOutputCap(shape(), grant({ maxOutputTokens: 20 }), models)).toBe(20);
  expect(effectiveOutputCap(shape(), grant(), models)).toBe(8_000);
  expect(effectiveOutputCap(shape(), grant(), undefined)).toBe(DEFAULT_OUTPUT_CAP);
  expect(effectiveOutputCap(shape(), grant({}, false), models)).toBe(0);
});
