import type { ServiceImpl } from "@connectrpc/connect";
import { common, policy } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { inProcessPeers, route } from "@weir/mesh";
import { expect, test } from "vitest";
import { soonest } from "../flows/permit.ts";
import type { AskedAttempt } from "../ports.ts";
import { policyHolds } from "./policy-holds.ts";

const away = (): never => {
  throw new WeirError("policy_unavailable", "away");
};

function holdsWith(extend: ServiceImpl<typeof policy.PolicyService>["extend"]) {
  const settled: policy.Settlement[] = [];
  const routes = [
    route(policy.PolicyService, {
      admitBatch: away,
      awaitAdmission: away,
      renewSlots: away,
      recover: away,
      reportUse: away,
      watch: away,
      extend,
      settleBatch(request) {
        settled.push(...request.settlements);
        return { results: request.settlements.map(() => policy.SettlementResult.SETTLED) };
      },
    }),
  ];
  const client = inProcessPeers(routes).client(policy.PolicyService);
  return { settled, holds: policyHolds(() => client, away) };
}

const attempt = (more: Partial<AskedAttempt> = {}): AskedAttempt => ({
  owner: "owner",
  keyId: "k",
  requestId: "r",
  attempt: 2,
  costNanos: 5n,
  tokens: { inputTokens: 3, outputTokens: 4 },
  provider: "p",
  failsClosed: false,
  ...more,
});

test("an attempt is asked for with its provider and what it may have", async () => {
  const asked: policy.ExtendRequest[] = [];
  const { holds } = holdsWith((request) => {
    asked.push(request);
    return { verdict: { case: "admitted", value: { held: true } } };
  });
  expect(await holds.extend(attempt())).toBeUndefined();
  expect(asked).toMatchObject([
    {
      owner: "owner",
      attempt: 2,
      provider: "p",
      inputTokens: 3,
      outputTokens: 4,
      bound: { costNanos: 5n, tokens: 7n },
    },
  ]);
});

test.each([
  [common.ErrorReason.RATE_LIMITED, "rate_limited", 1500],
  [common.ErrorReason.POLICY_UNAVAILABLE, "policy_unavailable", 1500],
  [common.ErrorReason.BUDGET_EXCEEDED, "budget_exceeded", undefined],
] as const)("a refusal is told as what it is: %s", async (reason, name, retryAfterMs) => {
  const error = { reason, message: "no", retryAfterMs: 1500 };
  const { holds } = holdsWith(() => ({ verdict: { case: "refused", value: { error, rule: "rule" } } }));
  expect(await holds.extend(attempt())).toMatchObject({ reason: name, retryAfterMs });
});

test("without an answer: what is to be held is not made, and given back; limits alone do as they say", async () => {
  const { holds, settled } = holdsWith(away);
  expect(await holds.extend(attempt())).toMatchObject({ reason: "policy_unavailable" });
  await expect
    .poll(() => settled)
    .toMatchObject([{ attempt: 2, outcome: { case: "void", value: { notCalled: true } } }]);
  expect(await holds.extend(attempt({ attempt: 1 }))).toBeUndefined();
  expect(await holds.extend(attempt({ attempt: 1, failsClosed: true }))).toMatchObject({
    reason: "policy_unavailable",
  });
  expect(await holds.extend(attempt({ owner: "" }))).toBeUndefined();
  // The first attempt's hold is its request's: it is not given back from here.
  expect(settled.every((one) => one.attempt === 2)).toBe(true);
});

test("of several waits the shortest is told, and a wait before what is not known", () => {
  const limited = (retryAfterMs: number) => new WeirError("rate_limited", "full", { retryAfterMs });
  const unknown = new WeirError("policy_unavailable", "away", { retryAfterMs: 1 });
  expect(soonest(limited(500), limited(200)).retryAfterMs).toBe(200);
  expect(soonest(limited(200), limited(500)).retryAfterMs).toBe(200);
  expect(soonest(unknown, limited(500)).reason).toBe("rate_limited");
  expect(soonest(limited(500), unknown).reason).toBe("rate_limited");
});
