import { fromBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { type BatchSignature, type OwnRecord, type Predecessor, searchable, uuidOrNone } from "@weir/proofs";

/** What of a header the log's columns repeat. */
export interface HeaderFacts {
  readonly columns: Readonly<Record<string, string>>;
  readonly predecessor: Predecessor | undefined;
  readonly own?: OwnRecord;
  readonly publicKey?: Uint8Array;
  readonly signature?: BatchSignature;
}

const NOTHING: Readonly<Record<string, string>> = {
  requestId: "",
  workspaceId: "",
  keyId: "",
  model: "",
  provider: "",
  outcome: "0",
  status: "0",
  inputTokens: "0",
  outputTokens: "0",
  costNanos: "0",
};

/**
 * Read from the header alone, apart from the service that filled the columns.
 * @returns undefined for bytes that a producer wrote and nobody could read: their columns say nothing
 * @throws Error for a header that is no message of its kind
 */
export function factsOf(leaf: audit.LogLeaf): HeaderFacts | undefined {
  const { header } = leaf;
  const only = (columns: Readonly<Record<string, string>>): HeaderFacts => ({
    columns: { ...NOTHING, ...columns },
    predecessor: undefined,
  });
  switch (leaf.kind) {
    case audit.RecordKind.EPOCH_OPEN: {
      const { atMs, previousProducer, previousLastNumber, publicKey } = fromBinary(audit.EpochOpenSchema, header);
      const predecessor =
        previousProducer === ""
          ? undefined
          : { producer: searchable(previousProducer), lastNumber: Number(previousLastNumber) };
      return { ...only({ atMs: String(atMs) }), predecessor, publicKey };
    }
    case audit.RecordKind.INTENT: {
      const intent = fromBinary(audit.IntentSchema, header);
      return only({ atMs: String(intent.atMs), ...asked(intent) });
    }
    case audit.RecordKind.REFUSAL: {
      const refusal = fromBinary(audit.RefusalSchema, header);
      return only({ atMs: String(refusal.atMs), ...asked(refusal) });
    }
    case audit.RecordKind.OUTCOME: {
      const { atMs, intent, kind, status, result } = fromBinary(audit.OutcomeSchema, header);
      return only({
        atMs: String(atMs),
        ...asked(intent),
        provider: searchable(result?.served?.provider ?? ""),
        outcome: String(kind),
        status: String(status),
        inputTokens: String(result?.usage?.inputTokens ?? 0),
        outputTokens: String(result?.usage?.outputTokens ?? 0),
        costNanos: String(result?.costNanos ?? 0n),
      });
    }
    case audit.RecordKind.MARK:
      return only({ atMs: String(fromBinary(audit.MarkSchema, header).atMs) });
    case audit.RecordKind.EPOCH_CLOSE:
      return only({ atMs: String(fromBinary(audit.EpochCloseSchema, header).atMs) });
    case audit.RecordKind.ERASURE: {
      const { atMs, workspaceId, keyId } = fromBinary(audit.ErasureSchema, header);
      return only({ atMs: String(atMs), workspaceId: searchable(workspaceId), keyId: searchable(keyId) });
    }
    case audit.RecordKind.SIGNATURE:
      return { ...only({ atMs: "0" }), signature: fromBinary(audit.BatchSignatureSchema, header) };
    case audit.RecordKind.RETENTION:
    case audit.RecordKind.RETENTION_POLICY:
    case audit.RecordKind.LEGAL_HOLD:
    case audit.RecordKind.LEGAL_HOLD_RELEASE: {
      const { atMs, workspaceId, keyId, own } = ownRecordOf(leaf.kind, header);
      return { ...only({ atMs: String(atMs), workspaceId, ...(keyId === undefined ? {} : { keyId }) }), own };
    }
    default:
      return undefined;
  }
}

interface Own {
  readonly atMs: bigint;
  readonly workspaceId: string;
  readonly keyId?: string;
  readonly own: OwnRecord;
}

function ownRecordOf(kind: number, header: Uint8Array): Own {
  switch (kind) {
    case audit.RecordKind.RETENTION: {
      const of = fromBinary(audit.RetentionSchema, header);
      const { workspaceId, runs } = of;
      const own: OwnRecord = {
        kind: "removal",
        atMs: Number(of.atMs),
        subject: of.subject === audit.RetentionSubject.RECORDS ? "records" : "payloads",
        workspaceId,
        keepMs: Number(of.keepMs),
        beforeMs: Number(of.beforeMs),
        count: Number(of.count),
        runs,
      };
      return { atMs: of.atMs, workspaceId, own };
    }
    case audit.RecordKind.RETENTION_POLICY: {
      const { atMs, workspaceId, inherits, recordsMs, payloadsMs } = fromBinary(audit.RetentionPolicySchema, header);
      const times = { recordsMs: Number(recordsMs), payloadsMs: Number(payloadsMs) };
      return { atMs, workspaceId, own: { kind: "policy", atMs: Number(atMs), workspaceId, inherits, ...times } };
    }
    case audit.RecordKind.LEGAL_HOLD: {
      const { atMs, id, workspaceId, keyId, fromMs, toMs } = fromBinary(audit.LegalHoldSchema, header);
      const own: OwnRecord = { kind: "hold", id, workspaceId, keyId, fromMs: Number(fromMs), toMs: Number(toMs) };
      return { atMs, workspaceId, keyId, own };
    }
    default: {
      const { atMs, id, workspaceId } = fromBinary(audit.LegalHoldReleaseSchema, header);
      return { atMs, workspaceId, own: { kind: "release", id } };
    }
  }
}

interface Asked {
  readonly requestId: string;
  readonly workspaceId: string;
  readonly keyId: string;
  readonly model: string;
}

const asked = (of: Asked | undefined): Record<keyof Asked, string> => ({
  requestId: uuidOrNone(of?.requestId ?? ""),
  workspaceId: searchable(of?.workspaceId ?? ""),
  keyId: searchable(of?.keyId ?? ""),
  model: searchable(of?.model ?? ""),
});

/** The first column that does not say what the header says. */
export function wrongColumn(leaf: audit.LogLeaf, { columns }: HeaderFacts): string | undefined {
  const stored = leaf.columns as Readonly<Record<string, unknown>> | undefined;
  if (stored === undefined) return undefined;
  return Object.keys(columns).find((name) => String(stored[name]) !== columns[name]);
}
