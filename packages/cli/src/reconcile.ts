import { audit, policy } from "@weir/contracts";

/** What does not agree between what was charged and what was recorded of one request. */
export interface Difference {
  readonly requestId: string;
  readonly kind: "charged but not recorded" | "recorded but not charged" | "amounts differ";
  readonly chargedNanos: bigint;
  readonly recordedNanos: bigint;
}

export interface Reconciliation {
  readonly differences: readonly Difference[];
  readonly requests: number;
  /** Charged at their bound, as nobody knows how much they were: `weir budgets resolve` is for them. */
  readonly unresolved: number;
}

interface Booked {
  nanos: bigint;
  /** All of it is known. */
  settled: boolean;
  /** Something of it is at its bound. */
  unresolved: boolean;
}

/**
 * Compares the ledger's charges of a time with the outcomes of the audit log, request by request. What is not settled yet has no amount to
 * compare, and what was charged at its bound has none that anybody knows.
 * @param charges of the time, and a little before: a request is held before its intent is recorded
 * @param outcomes of requests whose intents are of the time
 */
export function reconcile(
  charges: Iterable<policy.Charge>,
  outcomes: Iterable<audit.Outcome>,
  fromMs: bigint,
): Reconciliation {
  const booked = new Map<string, Booked & { heldAtMs: bigint }>();
  for (const { requestId, charged, state, heldAtMs } of charges) {
    const one = booked.get(requestId) ?? { nanos: 0n, settled: true, unresolved: false, heldAtMs };
    one.nanos += charged?.costNanos ?? 0n;
    one.settled &&= state !== policy.ChargeState.OPEN;
    one.unresolved ||= state === policy.ChargeState.UNRESOLVED;
    booked.set(requestId, one);
  }
  const differences: Difference[] = [];
  const recorded = new Set<string>();
  for (const { intent, result } of outcomes) {
    const requestId = intent?.requestId ?? "";
    recorded.add(requestId);
    // A key without budgets is recorded and never charged.
    if (intent?.held !== true) continue;
    const recordedNanos = result?.costNanos ?? 0n;
    const one = booked.get(requestId);
    if (one === undefined) {
      if (recordedNanos > 0n)
        differences.push({ requestId, kind: "recorded but not charged", chargedNanos: 0n, recordedNanos });
    } else if (one.settled && !one.unresolved && one.nanos !== recordedNanos) {
      differences.push({ requestId, kind: "amounts differ", chargedNanos: one.nanos, recordedNanos });
    }
  }
  for (const [requestId, { nanos, heldAtMs }] of booked) {
    if (nanos > 0n && heldAtMs >= fromMs && !recorded.has(requestId))
      differences.push({ requestId, kind: "charged but not recorded", chargedNanos: nanos, recordedNanos: 0n });
  }
  const unresolved = [...booked.values()].filter((one) => one.unresolved).length;
  return { differences, requests: new Set([...booked.keys(), ...recorded]).size, unresolved };
}
