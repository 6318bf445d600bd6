import { hash } from "node:crypto";
import { audit, common } from "@weir/contracts";
import { type Batch, deadLetter, decodeFrames, encodeFrames, FRAME_KIND, type Frame } from "@weir/events";
import { isReason, type Reason } from "@weir/kernel";
import { compileCodec } from "@weir/mesh";
import { EVALUATION_TAG } from "./gateway-models.ts";
import type { DeadRecord } from "../domain/dead-letter.ts";
import type { Delivered } from "../domain/result.ts";
import type { Finish, Subject } from "../domain/subject.ts";

/** The name on the bus. */
export const CONSUMER = "evaluation";

const outcome = compileCodec(audit.OutcomeSchema);

/** The outcomes in delivered batches; other records are nothing to evaluate and are passed over. Throws nothing. */
export function* readOutcomes(batches: readonly Batch[]): Generator<Delivered> {
  for (const { producer, data } of batches) {
    for (const frame of decodeFrames(data).frames) {
      if (frame.kind === FRAME_KIND.outcome || frame.kind === FRAME_KIND.quarantined) yield delivered(producer, frame);
    }
  }
}

function delivered(producer: string, frame: Frame): Delivered {
  const { kind, header, number } = frame;
  const origin: Pick<Delivered, "letter"> = {
    letter(reason, atMs) {
      const last = kind === FRAME_KIND.quarantined ? Math.max(number, frame.ref) : number;
      const batch = { producer, first: number, last, data: encodeFrames([frame]) };
      return deadLetter(CONSUMER, batch, reason, atMs);
    },
  };
  if (kind === FRAME_KIND.quarantined) return { ...origin, subject: undefined, reason: "bytes that are no record" };
  try {
    const subject = subjectOf(outcome.decode(header));
    if (UUID.test(subject.requestId)) return { ...origin, subject, reason: "" };
    return { ...origin, subject: undefined, reason: "an outcome without a request id" };
  } catch {
    // The decoder's own words may quote the bytes.
    return { ...origin, subject: undefined, reason: "an outcome that cannot be read" };
  }
}

/** What a dead letter's records say of themselves. Throws nothing. */
export function readDeadRecords(data: Uint8Array): DeadRecord[] {
  return decodeFrames(data).frames.map(({ kind, number, header }) => {
    const name = Object.entries(FRAME_KIND).find(([, value]) => value === kind)?.[0] ?? String(kind);
    const record = { kind: name, number, requestId: "", workspaceId: "", digest: hash("sha256", header, "buffer") };
    if (kind !== FRAME_KIND.outcome) return record;
    try {
      const { requestId, workspaceId } = subjectOf(outcome.decode(header));
      return { ...record, requestId, workspaceId };
    } catch {
      // Which is why it is here.
      return record;
    }
  });
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const ENDED: Partial<Record<audit.OutcomeKind, Subject["ended"]>> = {
  [audit.OutcomeKind.SUCCEEDED]: "succeeded",
  [audit.OutcomeKind.FAILED]: "failed",
  [audit.OutcomeKind.CANCELLED]: "cancelled",
};

const FINISH: Partial<Record<common.FinishReason, Finish>> = {
  [common.FinishReason.STOP]: "stop",
  [common.FinishReason.LENGTH]: "length",
  [common.FinishReason.TOOL_CALLS]: "tool-calls",
  [common.FinishReason.CONTENT_FILTER]: "content-filter",
  [common.FinishReason.REFUSAL]: "refusal",
  [common.FinishReason.PAUSE]: "pause",
  [common.FinishReason.ERROR]: "error",
};

function subjectOf({ intent, kind, error, result, atMs }: audit.Outcome): Subject {
  return {
    requestId: intent?.requestId ?? "",
    workspaceId: intent?.workspaceId ?? "",
    model: intent?.model ?? "",
    ofEvaluation: Object.hasOwn(intent?.tags ?? {}, EVALUATION_TAG),
    endedMs: Number(atMs),
    ended: ENDED[kind] ?? "unknown",
    error: reasonOf(error) ?? reasonOf(result?.error?.reason),
    makes: intent?.dialect === common.Dialect.OPENAI_EMBEDDINGS ? "embedding" : "answer",
    finish: FINISH[result?.finishReason ?? common.FinishReason.UNSPECIFIED],
    outputTokens: result?.usage?.outputTokens,
    providerMs: (result?.providerUs ?? 0) / 1_000,
    firstTokenMs: (result?.firstTokenUs ?? 0) / 1_000,
  };
}

function reasonOf(reason: common.ErrorReason | undefined): Reason | undefined {
  const name = reason === undefined ? "" : (common.ErrorReason[reason] ?? "").toLowerCase();
  return isReason(name) ? name : undefined;
}
