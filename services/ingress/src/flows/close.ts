/** The way out, the same for every request that was opened: record the outcome, then settle. Never the other way round. */
import type { Clock, Reason } from "@weir/kernel";
import type { CallResult } from "../domain/call.ts";
import type { Outcome, SealedPayload } from "../domain/record.ts";
import { type Settlement, settlementsOf } from "../domain/settlement.ts";
import type { Admissions, Journal, Slots } from "../ports.ts";
import type { Opened } from "./open.ts";
import type { Trail } from "./trail.ts";

export interface Ending {
  readonly kind: Outcome["kind"];
  readonly status: number;
  readonly error: Reason | undefined;
  readonly result: CallResult;
  readonly outputHmac: Uint8Array;
  readonly payload: SealedPayload | undefined;
  /** Without a single attempt in the result: whether there may have been some all the same. */
  readonly mayHaveTried: boolean;
}

/**
 * Resolves once the outcome is written: from then on the client may see its last byte.
 * @throws WeirError audit_unavailable: then it must not
 */
export type Close = (opened: Opened<unknown>, trail: Trail, ending: Ending) => Promise<void>;

export function createClose(ports: {
  readonly admissions: Admissions;
  readonly slots: Slots;
  readonly journal: Journal;
  readonly clock: Clock;
}): Close {
  const { admissions, slots, journal, clock } = ports;
  return async (opened, trail, ending) => {
    const { intent } = opened;
    const { result } = ending;
    trail.result = result;
    trail.outcome = ending.kind;
    trail.status = ending.status;
    trail.reason = ending.error;
    const ownMs = clock.monotonicMs() - trail.startedMs - trail.waitedMs;
    trail.overheadUs = Math.max(0, Math.round(ownMs * 1000) - result.providerUs);
    const { key } = opened.grant;
    const settlements =
      intent.held || key.hasLimit
        ? settlementsOf(intent.requestId, key.id, result.attempts, ending.mayHaveTried, ending.error)
        : NOTHING;
    let outcomeNumber = 0;
    try {
      outcomeNumber = await journal.outcome(
        opened.intentNumber,
        {
          intent,
          atMs: clock.nowMs(),
          kind: ending.kind,
          status: ending.status,
          error: ending.error,
          result,
          outputHmac: ending.outputHmac,
          overheadUs: trail.overheadUs,
          guardrails: trail.guardrails && { ...trail.guardrails.verdict, names: trail.guardrails.guard.names },
        },
        ending.payload,
      );
    } finally {
      // Where it could not be recorded, too: the provider bills all the same, and a hold that nobody ends would never end.
      admissions.settle(settlements, outcomeNumber);
      if (key.hasConcurrencyLimit) slots.ended(intent.requestId);
    }
  };
}

const NOTHING: readonly Settlement[] = [];
