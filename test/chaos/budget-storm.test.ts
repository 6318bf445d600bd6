import { afterAll, beforeAll, expect, test } from "vitest";
import { faultsOf, type StormGround, stormGround, stormOf } from "./budget-storm.ts";

let ground: StormGround;
beforeAll(async () => {
  ground = await stormGround();
}, 240_000);
afterAll(() => ground[Symbol.asyncDispose](), 60_000);

test.each([
  ["calm", 1],
  ["clients that leave", 2],
  ["processes that are killed", 3],
])(
  "256 clients on four replicas of policy, %s: no budget is overspent, none refuses what fits, nothing stays held",
  async (_name, seed) => {
    const result = await ground.storm({ ...stormOf(seed), clients: 256, requests: 6 });
    console.log(JSON.stringify(result));
    expect(faultsOf(result)).toEqual([]);
    // It did storm: the budgets were too small, and there were answers.
    expect(result.answers["429 budget_exceeded"]).toBeGreaterThan(0);
    expect(result.answers["200"]).toBeGreaterThan(0);
  },
  240_000,
);
