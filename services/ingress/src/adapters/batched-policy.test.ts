import { policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { expect, test } from "vitest";
import { BatchedPolicy } from "./batched-policy.ts";

const refuse = (): never => {
  throw new WeirError("policy_unavailable", "away");
};

function batched(
  settle: (request: policy.SettleBatchRequest) => { results: policy.SettlementResult[] },
  asked: () => void = () => undefined,
) {
  const routes = [
    route(policy.PolicyService, {
      settleBatch: settle,
      admitBatch: () => {
        asked();
        return refuse();
      },
      extend: refuse,
      recover: refuse,
      // oxlint-disable-next-line require-yield
      async *watch() {
        await Promise.resolve();
        refuse();
      },
    }),
  ];
  const through: number[] = [];
  const admissions = new BatchedPolicy(inProcessPeers(routes).client(policy.PolicyService), "owner", {
    onError: () => undefined,
    onSettledThrough: (outcomeNumber) => through.push(outcomeNumber),
  });
  return { admissions, through };
}

const charge = (requestId: string) => [{ requestId, attempt: 1, keyId: "k", charge: { kind: "void" as const } }];

test("at its end it has told how far outcomes are settled: a clean stop leaves nothing to recover", async () => {
  const { admissions, through } = batched(({ settlements }) => ({
    results: settlements.map(() => policy.SettlementResult.SETTLED),
  }));
  for (const number of [3, 5, 9]) admissions.settle(charge(`r${number}`), number);
  admissions.settle([], 11);
  await admissions[Symbol.asyncDispose]();
  expect(through.at(-1)).toBe(11);
  expect(admissions.pending).toBe(0);
});

test("a settlement goes before the next admission, or by itself when none comes", async () => {
  const steps: string[] = [];
  const { admissions } = batched(
    ({ settlements }) => {
      steps.push(`settle ${settlements.map(({ requestId }) => requestId).join(" ")}`);
      return { results: settlements.map(() => policy.SettlementResult.SETTLED) };
    },
    () => steps.push("admit"),
  );
  admissions.settle(charge("r1"), 1);
  const bound = { costNanos: 1n, inputTokens: 1, outputTokens: 1 };
  const admission = { requestId: "r2", keyId: "k", model: "m", bound, endUser: "", clientIp: "", tags: {}, runId: "", callDigest: "" };
  await expect(admissions.admit(admission)).rejects.toMatchObject({ reason: "policy_unavailable" });
  expect(steps.slice(0, 2)).toEqual(["settle r1", "admit"]);
  // What the failed admission may have taken is given back without another request's help.
  await expect.poll(() => steps.at(-1)).toBe("settle r2");
  await admissions[Symbol.asyncDispose]();
});

test("what policy did not take is not told as settled, and is said to be pending", async () => {
  const { admissions, through } = batched(refuse);
  admissions.settle([], 2);
  admissions.settle(charge("r3"), 3);
  admissions.settle(charge("given back"), 0);
  await admissions[Symbol.asyncDispose]();
  expect(through.at(-1)).toBe(2);
  expect(admissions.pending).toBe(2);
});
