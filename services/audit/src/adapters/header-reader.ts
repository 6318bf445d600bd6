import { hash } from "node:crypto";
import { audit } from "@weir/contracts";
import { FRAME_KIND, type Frame } from "@weir/events";
import { searchable, unreadNumber, uuidOrNone } from "@weir/proofs";
import { compileCodec } from "@weir/mesh";
import { type Attributes, type LogRecord, NO_ATTRIBUTES, quarantined } from "../domain/record.ts";

const epochOpen = compileCodec(audit.EpochOpenSchema);
const intent = compileCodec(audit.IntentSchema);
const outcome = compileCodec(audit.OutcomeSchema);
const refusal = compileCodec(audit.RefusalSchema);
const mark = compileCodec(audit.MarkSchema);
const epochClose = compileCodec(audit.EpochCloseSchema);

/** The record of a frame; a quarantined one where the header is not what its kind says. Throws nothing. */
export function recordOf(producer: string, frame: Frame, nowMs: number): LogRecord {
  const { number, kind, header, payload, payloadOmitted } = frame;
  const bare: LogRecord = {
    producer,
    number,
    kind,
    intentProducer: searchable(frame.origin),
    intentNumber: frame.ref,
    header,
    payload,
    payloadOmitted,
    attributes: NO_ATTRIBUTES,
    predecessor: undefined,
  };
  if (kind === FRAME_KIND.signature) {
    // It has no number of its own in the epoch; the same signature always gets the same one.
    return { ...bare, number: unreadNumber(0, hash("sha256", header, "buffer")) };
  }
  if (kind === FRAME_KIND.quarantined) {
    return quarantined({ ...bare, number: unreadNumber(number, hash("sha256", header, "buffer")) }, nowMs);
  }
  try {
    return { ...bare, ...readHeader(kind, header) };
  } catch {
    // Nothing is lost by dropping the error: the bytes themselves are kept.
    return quarantined(bare, nowMs);
  }
}

type HeaderFacts = Pick<LogRecord, "attributes"> &
  Partial<Pick<LogRecord, "intentProducer" | "intentNumber" | "predecessor" | "transportKey">>;

function readHeader(kind: number, header: Uint8Array): HeaderFacts {
  switch (kind) {
    case audit.RecordKind.EPOCH_OPEN: {
      const message = epochOpen.decode(header);
      const predecessor =
        message.previousProducer === ""
          ? undefined
          : { producer: searchable(message.previousProducer), lastNumber: integer(message.previousLastNumber) };
      return { attributes: at(message.atMs), predecessor };
    }
    case audit.RecordKind.INTENT:
      return { attributes: ofIntent(intent.decode(header)) };
    case audit.RecordKind.OUTCOME:
      return ofOutcome(outcome.decode(header));
    case audit.RecordKind.REFUSAL: {
      const message = refusal.decode(header);
      return {
        attributes: {
          ...at(message.atMs),
          requestId: uuidOrNone(message.requestId),
          workspaceId: message.workspaceId,
          keyId: message.keyId,
          model: message.model,
        },
      };
    }
    case audit.RecordKind.MARK: {
      const message = mark.decode(header);
      return { attributes: at(message.atMs), transportKey: integer(message.transportKey) };
    }
    case audit.RecordKind.EPOCH_CLOSE:
      return { attributes: at(epochClose.decode(header).atMs) };
    default:
      throw new RangeError(`no record is of kind ${kind}`);
  }
}

const at = (ms: bigint): Attributes => ({ ...NO_ATTRIBUTES, atMs: integer(ms) });

const ofIntent = (message: audit.Intent): Attributes => ({
  ...NO_ATTRIBUTES,
  atMs: integer(message.atMs),
  requestId: uuidOrNone(message.requestId),
  workspaceId: message.workspaceId,
  keyId: message.keyId,
  model: message.model,
});

function ofOutcome(message: audit.Outcome): HeaderFacts {
  const { intent: asked, result } = message;
  const attributes: Attributes = {
    atMs: integer(message.atMs),
    requestId: uuidOrNone(asked?.requestId ?? ""),
    workspaceId: asked?.workspaceId ?? "",
    keyId: asked?.keyId ?? "",
    model: asked?.model ?? "",
    provider: result?.served?.provider ?? "",
    // An open enum: a newer producer's kind is stored as it came, as long as the column can hold it.
    outcome: message.kind >= 0 && message.kind <= 0x7fff ? message.kind : 0,
    status: message.status,
    inputTokens: result?.usage?.inputTokens ?? 0,
    outputTokens: result?.usage?.outputTokens ?? 0,
    costNanos: result?.costNanos ?? 0n,
  };
  if (message.kind !== audit.OutcomeKind.UNKNOWN || message.intentProducer === "") return { attributes };
  return {
    attributes,
    intentProducer: searchable(message.intentProducer),
    intentNumber: integer(message.intentNumber),
  };
}

/** @throws RangeError for what no number of ours can be, so that the record is quarantined instead of stored wrongly */
function integer(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`not a number of ours: ${value}`);
  return number;
}
