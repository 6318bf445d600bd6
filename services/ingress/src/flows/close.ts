/** The way out, the same for every request that was opened: record the outcome, then settle. Never the other way round. */
import type { Clock, Reason } from "@weir/kernel";
import type { CallResult } from "../domain/call.ts";
import type { Outcome } from "../domain/record.ts";
import { lostSettlements, type Settlement, settlementsOf } from "../domain/settlement.ts";
import type { Admissions, Journal } from "../ports.ts";
import type { Opened } from "./open.ts";
import type { Trail } from "./trail.ts";

export interface Ending {
  readonly kind: Outcome["kind"];
  readonly status: number;
  readonly error: Reason | undefined;
  readonly result: CallResult;
  readonly outputHmac: Uint8Array;
}

/**
 * Resolves once the outcome is written: from then on the client may see its last byte.
 * @throws WeirError audit_unavailable: then it must not
 */
export type Close = (opened: Opened<unknown>, trail: Trail, ending: Ending) => Promise<void>;

export function createClose(ports: {
  readonly admissions: Admissions;
  readonly journal: Journal;
  readonly clock: Clock;
}): Close {
  const { admissions, journal, clock } = ports;
  return async (opened, trail, ending) => {
    const { intent } = opened;
    const { result } = ending;
    trail.result = result;
    trail.outcome = ending.kind;
    trail.status = ending.status;
    trail.reason = ending.error;
    trail.overheadUs = Math.max(0, Math.round((clock.monotonicMs() - trail.startedMs) * 1000) - result.providerUs);
    const outcomeNumber = await journal.outcome(opened.intentNumber, {
      intent,
      atMs: clock.nowMs(),
      kind: ending.kind,
      status: ending.status,
      error: ending.error,
      result,
      outputHmac: ending.outputHmac,
      overheadUs: trail.overheadUs,
    });
    const { key } = opened.grant;
    let settlements: Settlement[] = [];
    if (intent.held || key.hasLimit) {
      settlements = settlementsOf(intent.requestId, key.id, result.attempts);
      if (settlements.length === 0) settlements = unattempted(intent.requestId, key.id, ending);
    }
    admissions.settle(settlements, outcomeNumber);
  };
}

/** No attempt is known. */
function unattempted(requestId: string, keyId: string, ending: Ending): Settlement[] {
  const lost =
    ending.error === "router_unavailable" || ending.error === "internal" || ending.error === "deadline_exceeded";
  if (lost || ending.kind === "cancelled") return lostSettlements(requestId, keyId);
  return [{ requestId, attempt: 1, keyId, charge: { kind: "void" } }];
}
