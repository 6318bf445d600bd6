import { create } from "@bufbuild/protobuf";
import { audit, policy } from "@weir/contracts";
import { expect, test } from "vitest";
import { reconcile } from "./reconcile.ts";

const { ChargeState } = policy;
const charge = (requestId: string, costNanos: bigint, state = ChargeState.CHARGED, attempt = 1, heldAtMs = 1_000n) =>
  create(policy.ChargeSchema, { requestId, attempt, charged: { costNanos }, state, heldAtMs });
const outcome = (requestId: string, costNanos: bigint, held = true) =>
  create(audit.OutcomeSchema, { intent: { requestId, held }, result: { costNanos } });

test("what was charged is what was recorded, over all attempts of a request", () => {
  const charges = [charge("a", 3n), charge("a", 4n, ChargeState.CHARGED, 2), charge("b", 0n, ChargeState.VOID)];
  expect(reconcile(charges, [outcome("a", 7n), outcome("b", 0n)], 0n)).toEqual({
    differences: [],
    requests: 2,
    unresolved: 0,
  });
});

test("each kind of difference is told, with both amounts", () => {
  const { differences } = reconcile([charge("a", 3n), charge("b", 5n)], [outcome("a", 4n), outcome("c", 6n)], 0n);
  expect(differences).toEqual([
    { requestId: "a", kind: "amounts differ", chargedNanos: 3n, recordedNanos: 4n },
    { requestId: "c", kind: "recorded but not charged", chargedNanos: 0n, recordedNanos: 6n },
    { requestId: "b", kind: "charged but not recorded", chargedNanos: 5n, recordedNanos: 0n },
  ]);
});

test("what cannot be compared is no difference: open, at its bound, without a budget, held before the time", () => {
  const charges = [
    charge("open", 0n, ChargeState.OPEN),
    charge("bound", 9n, ChargeState.UNRESOLVED),
    charge("early", 2n, ChargeState.CHARGED, 1, 10n),
  ];
  const outcomes = [outcome("open", 1n), outcome("bound", 1n), outcome("free", 8n, false)];
  expect(reconcile(charges, outcomes, 1_000n)).toEqual({ differences: [], requests: 4, unresolved: 1 });
});

test("a charge at its bound that nobody recorded is one, too", () => {
  expect(reconcile([charge("a", 9n, ChargeState.UNRESOLVED)], [], 0n).differences).toHaveLength(1);
});
