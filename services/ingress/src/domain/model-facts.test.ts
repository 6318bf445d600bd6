import { flatPrice, samePrice } from "@weir/pricing";
import { NO_RULES } from "@weir/rules";
import { expect, test } from "vitest";
import type { Candidate } from "./bound.ts";
import { grantOf } from "./grant.ts";
import { factsFor } from "./model-facts.ts";
import { testKey } from "./test-key.ts";

const price = (perMtok: bigint) => flatPrice({ inputNanosPerMtok: perMtok, outputNanosPerMtok: perMtok }, "test");
const candidate = (some: Partial<Candidate>): Candidate => ({
  provider: "a",
  model: "m",
  region: "",
  plan: samePrice(price(1n)),
  countsTokens: false,
  contextWindow: 100_000,
  maxOutputTokens: 8_000,
  capabilities: new Set(["tools", "images"]),
  ...some,
});
const two = [
  candidate({ region: "eu" }),
  candidate({
    provider: "b",
    contextWindow: 0,
    maxOutputTokens: 4_000,
    capabilities: new Set(["tools"]),
    plan: samePrice(price(9n)),
  }),
];

test("a name can do what all who may serve it can, and costs what the dearest does", () => {
  const [facts] = factsFor([{ id: "m", candidates: two }], grantOf(testKey()), 0);
  expect(facts).toEqual({
    id: "m",
    contextWindow: 100_000,
    maxOutputTokens: 4_000,
    providers: ["a", "b"],
    regions: ["eu"],
    capabilities: ["tools"],
    price: price(9n),
  });
});

test("who may not serve a key says nothing about what its holder gets", () => {
  const only = grantOf(testKey({ rules: { ...NO_RULES, allowedProviders: ["a"] } }));
  expect(factsFor([{ id: "m", candidates: two }], only, 0)[0]).toMatchObject({
    providers: ["a"],
    maxOutputTokens: 8_000,
    capabilities: ["tools", "images"],
    price: price(1n),
  });
  const other = grantOf(testKey({ rules: { ...NO_RULES, allowedModels: ["n"] } }));
  expect(factsFor([{ id: "m", candidates: two }], other, 0)).toEqual([]);
});

test("what is not known is not made up", () => {
  const unknown = candidate({
    contextWindow: 0,
    maxOutputTokens: 0,
    capabilities: new Set(),
    plan: samePrice(undefined),
  });
  expect(factsFor([{ id: "m", candidates: [...two, unknown] }], grantOf(testKey()), 0)[0]).toMatchObject({
    contextWindow: 100_000,
    capabilities: [],
    price: undefined,
  });
  expect(factsFor([{ id: "m", candidates: [] }], grantOf(testKey()), 0)[0]).toMatchObject({
    contextWindow: 0,
    providers: [],
    capabilities: [],
  });
});
