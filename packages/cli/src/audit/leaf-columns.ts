import { fromBinary } from "@bufbuild/protobuf";
import { audit } from "@weir/contracts";
import { type Predecessor, searchable, uuidOrNone } from "@weir/proofs";

/** What of a header the log's columns repeat. */
export interface HeaderFacts {
  readonly columns: Readonly<Record<string, string>>;
  readonly predecessor: Predecessor | undefined;
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
      const { atMs, previousProducer, previousLastNumber } = fromBinary(audit.EpochOpenSchema, header);
      const predecessor =
        previousProducer === ""
          ? undefined
          : { producer: searchable(previousProducer), lastNumber: Number(previousLastNumber) };
      return { ...only({ atMs: String(atMs) }), predecessor };
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
    default:
      return undefined;
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
