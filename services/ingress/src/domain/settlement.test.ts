import { expect, test } from "vitest";
import type { Attempt } from "./call.ts";
import { settlementsOf } from "./settlement.ts";

const attempt = (some: Partial<Attempt>): Attempt => ({
  attempt: 1,
  provider: "p",
  model: "m",
  region: "",
  status: 200,
  error: undefined,
  usage: undefined,
  costNanos: 7n,
  billing: "charged",
  durationUs: 1,
  ...some,
});

test("the first attempt's hold ends also where only an embedding was asked for", () => {
  const settled = settlementsOf("r", "k", [attempt({ attempt: 5 })], false);
  expect(settled.map(({ attempt, charge }) => [attempt, charge.kind])).toEqual([
    [5, "charge"],
    [1, "void"],
  ]);
});

test("each attempt is settled once; of lost ones all that there can be", () => {
  const settled = settlementsOf("r", "k", [attempt({ attempt: 5 }), attempt({ billing: "unknown" })], false);
  expect(settled.map(({ attempt, charge }) => [attempt, charge.kind])).toEqual([
    [5, "charge"],
    [1, "at-bound"],
  ]);
  expect(settlementsOf("r", "k", [], true).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
  expect(settlementsOf("r", "k", [], false)).toMatchObject([{ attempt: 1, charge: { kind: "void" } }]);
});
