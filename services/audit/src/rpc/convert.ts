import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { WeirError } from "@weir/kernel";
import { compileCodec } from "@weir/mesh";
import { standsFor } from "@weir/proofs";
import type { LogEntry, LogFilter, ModelTotal } from "../domain/log-entry.ts";

type Record = audit.Entry["record"];

const epochOpen = compileCodec(audit.EpochOpenSchema);
const intent = compileCodec(audit.IntentSchema);
const outcome = compileCodec(audit.OutcomeSchema);
const refusal = compileCodec(audit.RefusalSchema);
const mark = compileCodec(audit.MarkSchema);
const epochClose = compileCodec(audit.EpochCloseSchema);
const erasure = compileCodec(audit.ErasureSchema);
const retention = compileCodec(audit.RetentionSchema);
const retentionPolicy = compileCodec(audit.RetentionPolicySchema);
const legalHold = compileCodec(audit.LegalHoldSchema);
const legalHoldRelease = compileCodec(audit.LegalHoldReleaseSchema);
const signature = compileCodec(audit.BatchSignatureSchema);
const payload = compileCodec(audit.PayloadSchema);

const DECODERS = new Map<number, (header: Uint8Array) => Record>([
  [audit.RecordKind.EPOCH_OPEN, (header) => ({ case: "epochOpen", value: epochOpen.decode(header) })],
  [audit.RecordKind.INTENT, (header) => ({ case: "intent", value: intent.decode(header) })],
  [audit.RecordKind.OUTCOME, (header) => ({ case: "outcome", value: outcome.decode(header) })],
  [audit.RecordKind.REFUSAL, (header) => ({ case: "refusal", value: refusal.decode(header) })],
  [audit.RecordKind.MARK, (header) => ({ case: "mark", value: mark.decode(header) })],
  [audit.RecordKind.EPOCH_CLOSE, (header) => ({ case: "epochClose", value: epochClose.decode(header) })],
  [audit.RecordKind.ERASURE, (header) => ({ case: "erasure", value: erasure.decode(header) })],
  [audit.RecordKind.RETENTION, (header) => ({ case: "retention", value: retention.decode(header) })],
  [audit.RecordKind.RETENTION_POLICY, (header) => ({ case: "retentionPolicy", value: retentionPolicy.decode(header) })],
  [audit.RecordKind.LEGAL_HOLD, (header) => ({ case: "legalHold", value: legalHold.decode(header) })],
  [
    audit.RecordKind.LEGAL_HOLD_RELEASE,
    (header) => ({ case: "legalHoldRelease", value: legalHoldRelease.decode(header) }),
  ],
  [audit.RecordKind.SIGNATURE, (header) => ({ case: "signature", value: signature.decode(header) })],
]);

export function entryToWire(entry: LogEntry): audit.Entry {
  return create(audit.EntrySchema, {
    index: BigInt(entry.index),
    leafHash: entry.leafHash,
    producer: entry.producer,
    number: BigInt(standsFor(entry.number)),
    intentNumber: BigInt(entry.intentNumber),
    kind: entry.kind,
    payloadOmitted: entry.payloadOmitted,
    record: recordOf(entry),
  });
}

/** @param opened undefined: there is none, or it was not asked for */
export function withPayload(entry: audit.Entry, opened: Uint8Array | "erased" | undefined): audit.Entry {
  if (opened === undefined) return entry;
  if (opened === "erased") return { ...entry, payloadErased: true };
  try {
    return { ...entry, payload: payload.decode(opened) };
  } catch (cause) {
    throw new WeirError("internal", `The payload of entry ${entry.index} is not in a form that this version knows.`, {
      cause,
    });
  }
}

/** What cannot be read (any more) is shown as the bytes that are there: one bad row must not hide a page of good ones. */
function recordOf(entry: LogEntry): Record {
  try {
    return DECODERS.get(entry.kind)?.(entry.header) ?? { case: "quarantined", value: entry.header };
  } catch {
    return { case: "quarantined", value: entry.header };
  }
}

export const totalToWire = (total: ModelTotal): MessageInitShape<typeof audit.ModelSummarySchema> => total;

/** 0 in a request means that there is no such bound. */
export const boundOf = (ms: bigint): number | undefined => (ms === 0n ? undefined : Number(ms));

/** @param lookups what a subject may be called by in the store @throws WeirError invalid_request for an end user of no workspace */
export function filterOf(
  from: Omit<audit.RecordFilter, "$typeName" | "$unknown">,
  lookups: (subject: EndUser) => readonly Uint8Array[],
): LogFilter {
  const { workspaceId, endUser } = from;
  if (endUser !== "" && workspaceId === "") {
    throw new WeirError("invalid_request", "An end user is one of a workspace: name that, too.", {
      param: "workspace_id",
    });
  }
  return {
    workspaceId,
    keyId: from.keyId,
    model: from.model,
    provider: from.provider,
    endUserHmac: from.endUserHmac,
    subject: endUser === "" ? undefined : lookups({ workspaceId, endUser }),
    outcome: from.outcome,
    kind: from.kind,
    status: from.status,
    fromMs: boundOf(from.fromMs),
    toMs: boundOf(from.toMs),
    minCostNanos: from.minCostNanos,
    maxCostNanos: from.maxCostNanos,
  };
}

export interface EndUser {
  readonly workspaceId: string;
  readonly endUser: string;
}
