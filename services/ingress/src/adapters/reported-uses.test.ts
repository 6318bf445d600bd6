import type { MessageInitShape } from "@bufbuild/protobuf";
import type { policy } from "@weir/contracts";
import { fakeClock } from "@weir/testkit";
import { expect, test } from "vitest";
import { grantOf } from "../domain/grant.ts";
import { testKey } from "../domain/test-key.ts";
import { ReportedUses } from "./reported-uses.ts";

type Report = MessageInitShape<typeof policy.ReportUseRequestSchema>;

function policyThat(answers: () => Promise<never> | undefined) {
  const told: string[][] = [];
  return {
    told,
    reportUse: async ({ uses = [] }: Report) => {
      await answers();
      told.push(uses.map(({ keyId = "", atMs }) => `${keyId} ${atMs}`));
      return { $typeName: "weir.policy.v1.ReportUseResponse" as const };
    },
  };
}
const grant = (id: string) => grantOf(testKey({ id }));

test("each key that was used is told once, with the time of the telling", async () => {
  const clock = fakeClock(5_000);
  const policy = policyThat(() => undefined);
  const uses = new ReportedUses(policy, clock, () => undefined);
  const [one, other] = [grant("one"), grant("other")];
  for (const used of [one, other, one]) uses.used(used);
  await uses.report();
  await uses.report();
  uses.used(one);
  clock.advance(1_000);
  await uses[Symbol.asyncDispose]();
  expect(policy.told).toEqual([["one 5000", "other 5000"], ["one 6000"]]);
});

test("what could not be told waits, and the failure is said once", async () => {
  const errors: unknown[] = [];
  let away = true;
  const policy = policyThat(() => (away ? Promise.reject(new Error("away")) : undefined));
  await using uses = new ReportedUses(policy, fakeClock(1), (error) => errors.push(error));
  uses.used(grant("one"));
  await uses.report();
  await uses.report();
  expect(errors).toHaveLength(1);
  away = false;
  await uses.report();
  expect(policy.told).toEqual([["one 1"]]);
});
