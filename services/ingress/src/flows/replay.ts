import type { Clock } from "@weir/kernel";
import { attributesFor } from "../domain/grant.ts";
import type { KeptAnswer } from "../domain/kept-answer.ts";
import { keepsTexts } from "../domain/key.ts";
import type { Intent, SealedPayload } from "../domain/record.ts";
import type { Admissions, Journal, KeyDirectory, Models, Pseudonyms } from "../ports.ts";
import { noResult } from "./complete.ts";
import type { Incoming, Trail } from "./trail.ts";

/**
 * Records that an answer is given once more: no provider is called, nothing is held and nothing charged. Resolves once it is written: only
 * then may the client see it.
 * @throws WeirError audit_unavailable
 */
export type Replay<Typed, Event> = (
  incoming: Incoming<unknown>,
  trail: Trail,
  kept: KeptAnswer<Typed, Event>,
) => Promise<void>;

const NOTHING = new Uint8Array(0);
/** The texts are those of the request that was answered, which has them. */
const ELSEWHERE: SealedPayload = { bytes: NOTHING, omitted: true };

export function createReplay<Typed, Event>(ports: {
  readonly admissions: Pick<Admissions, "settle">;
  readonly journal: Journal;
  readonly pseudonyms: Pseudonyms;
  readonly keys: Pick<KeyDirectory, "version">;
  readonly models: Pick<Models, "candidates">;
  readonly clock: Clock;
}): Replay<Typed, Event> {
  const { admissions, journal, pseudonyms, keys, models, clock } = ports;

  function outputHmac(workspaceId: string, { content }: KeptAnswer<Typed, Event>): Uint8Array {
    if (content.kind === "whole")
      return content.output.kind === "raw" ? journal.hmac(workspaceId, content.output.body) : NOTHING;
    if (content.kind === "events") return NOTHING;
    const hash = journal.hmacStream(workspaceId);
    for (const frame of content.frames) hash.update(frame);
    return hash.digest();
  }

  return async (incoming, trail, kept) => {
    const { grant, shape, requestId } = incoming;
    const { key } = grant;
    const { endUser, tags } = attributesFor(grant, shape.endUser, incoming.tags);
    const hashed = key.payloads !== "none";
    const atMs = clock.nowMs();
    const intent: Intent = {
      requestId,
      atMs,
      organizationId: key.organizationId,
      workspaceId: key.workspaceId,
      projectId: key.projectId,
      keyId: key.id,
      route: incoming.route,
      model: shape.model,
      stream: shape.stream,
      dialect: incoming.dialect,
      endUserHmac: endUser === "" ? NOTHING : pseudonyms.of(key.workspaceId, endUser),
      inputHmac: hashed ? journal.hmac(key.workspaceId, incoming.inputBytes) : NOTHING,
      boundNanos: 0n,
      policyVersion: keys.version,
      tags,
      clientRequestId: incoming.clientRequestId,
      traceId: incoming.traceparent?.slice(3, 35) ?? "",
      held: false,
    };
    trail.stream = shape.stream;
    if (models.candidates(shape.model) !== undefined) trail.model = shape.model;
    const number = await journal.intent(intent);
    const result = {
      ...noResult(undefined),
      served: kept.served,
      dropped: kept.dropped,
      headers: [
        ["idempotent-replayed", "true"],
        ["x-weir-replay-of", kept.requestId],
      ] as const,
    };
    const { content } = kept;
    const status = content.kind === "whole" && content.output.kind === "raw" ? content.output.status : 200;
    trail.result = result;
    trail.outcome = "succeeded";
    trail.status = status;
    trail.replayOf = kept.requestId;
    trail.overheadUs = Math.max(0, Math.round((clock.monotonicMs() - trail.startedMs) * 1000));
    const outcomeNumber = await journal.outcome(
      number,
      {
        intent,
        atMs: clock.nowMs(),
        kind: "succeeded",
        status,
        error: undefined,
        result,
        outputHmac: hashed ? outputHmac(key.workspaceId, kept) : NOTHING,
        overheadUs: trail.overheadUs,
        guardrails: undefined,
        replayOf: kept.requestId,
      },
      keepsTexts(key.payloads) ? ELSEWHERE : undefined,
    );
    admissions.settle([], outcomeNumber);
  };
}
