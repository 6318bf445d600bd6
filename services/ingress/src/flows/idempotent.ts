/**
 * Around the flows, for requests that carry an Idempotency-Key: one of them runs, the others get its answer. Comes after authentication and
 * before admission. Fails closed: where nobody can say whether it ran already, it does not run. Only answers are kept: after a failure, or
 * when its client left a stream, the next request of the same key runs anew. An answer is kept before its client sees its end; one that
 * could not be kept is given all the same, and a retry of it may run, and be paid for, once more.
 */
import { WeirError } from "@weir/kernel";
import type { IdempotentRequests, Journal, OpenRequest } from "../ports.ts";
import type { Complete } from "./complete.ts";
import type { Replay } from "./replay.ts";
import type { Stream } from "./stream.ts";
import type { Incoming, Trail } from "./trail.ts";

export interface IdempotentPorts<Typed, Event> {
  readonly requests: IdempotentRequests<Typed, Event>;
  readonly replay: Replay<Typed, Event>;
  readonly journal: Pick<Journal, "refusal">;
  readonly clock: { nowMs(): number };
}

type Found<Typed, Event> = Awaited<ReturnType<IdempotentRequests<Typed, Event>["begin"]>>;
type Answered<Typed, Event> = Extract<Found<Typed, Event>, { state: "answered" }>;

/** @throws WeirError for who is told to wait, or that it will not get an answer */
async function begin<Typed, Event>(
  { requests, journal, clock }: IdempotentPorts<Typed, Event>,
  incoming: Incoming<unknown>,
  key: string,
): Promise<OpenRequest<Typed, Event> | Answered<Typed, Event>["answer"]> {
  const { grant, requestId, route, shape } = incoming;
  const found = await requests.begin({
    key,
    keyId: grant.key.id,
    workspaceId: grant.key.workspaceId,
    requestId,
    route,
    body: incoming.inputBytes,
  });
  if (found.state === "begun") return found.request;
  if (found.state === "answered") return found.answer;
  const error = refusalOf(found);
  const { organizationId, workspaceId, projectId, id: keyId } = grant.key;
  journal.refusal({
    requestId,
    atMs: clock.nowMs(),
    organizationId,
    workspaceId,
    projectId,
    keyId,
    route,
    model: shape.model,
    reason: error.reason,
    rule: `idempotency key of ${found.requestId}`,
    count: 1,
  });
  throw error;
}

function refusalOf(found: Exclude<Found<unknown, unknown>, { state: "begun" | "answered" }>): WeirError {
  const { requestId } = found;
  switch (found.state) {
    case "running":
      return new WeirError("request_running", `Request ${requestId} with this Idempotency-Key still runs.`, {
        retryAfterMs: found.retryAfterMs,
      });
    case "mismatch":
      return new WeirError(
        "idempotency_mismatch",
        `Request ${requestId} used this Idempotency-Key for something else.`,
        {
          param: "idempotency-key",
        },
      );
    case "not-kept":
      return new WeirError(
        "answer_not_kept",
        `Request ${requestId} with this Idempotency-Key was answered, and its answer was too large to be kept.`,
      );
    case "unreadable":
      return new WeirError(
        "answer_not_kept",
        `Request ${requestId} with this Idempotency-Key was answered by an instance whose WEIR_HMAC_KEY is another.`,
      );
  }
}

const isOpen = <Typed, Event>(
  found: OpenRequest<Typed, Event> | Answered<Typed, Event>["answer"],
): found is OpenRequest<Typed, Event> => "release" in found;

/** Keeps what was answered, and lets go of anything else. Never rejects. */
function end(
  request: Pick<OpenRequest<unknown, unknown>, "finish" | "release">,
  { result }: Trail,
  answered: boolean,
): Promise<void> {
  if (!answered || result?.served === undefined) return request.release();
  return request.finish(result.served, result.dropped);
}

export function idempotentComplete<Input, Typed, Event>(
  ports: IdempotentPorts<Typed, Event>,
  run: Complete<Input, Typed>,
): Complete<Input, Typed> {
  async function once(key: string, ...[incoming, trail, signal]: Parameters<typeof run>): ReturnType<typeof run> {
    const found = await begin(ports, incoming, key);
    if (!isOpen(found)) {
      await ports.replay(incoming, trail, found);
      if (found.content.kind === "whole") return found.content.output;
      throw new Error("the answer of a stream was kept for a request that wants none");
    }
    try {
      const output = await run(incoming, trail, signal);
      // Of who left just when it came: it is paid for, and there when it comes back.
      const answered = trail.result?.error === undefined;
      if (answered) found.answer(output);
      await end(found, trail, answered);
      return output;
    } catch (error) {
      await found.release();
      throw error;
    }
  }
  return (incoming, trail, signal) => {
    const { idempotencyKey: key = "" } = incoming;
    return key === "" ? run(incoming, trail, signal) : once(key, incoming, trail, signal);
  };
}

export function idempotentStream<Input, Typed, Event>(
  ports: IdempotentPorts<Typed, Event>,
  run: Stream<Input, Event>,
): Stream<Input, Event> {
  async function once(key: string, ...[incoming, trail, sink, signal]: Parameters<typeof run>): ReturnType<typeof run> {
    const found = await begin(ports, incoming, key);
    if (!isOpen(found)) {
      await ports.replay(incoming, trail, found);
      const { served, dropped, content } = found;
      if (content.kind === "whole") throw new Error("a whole answer was kept for a stream");
      sink.start(served, dropped, trail.result?.headers ?? []);
      const last = content.kind === "frames" ? content.frames.length - 1 : content.events.length;
      for (let at = 0; at < last && !signal.aborted; at += 1) {
        const room =
          content.kind === "frames"
            ? sink.frame(content.frames[at] as Uint8Array)
            : sink.event(content.events[at] as Event);
        if (!room) await sink.drained();
      }
      const terminal = content.kind === "frames" ? content.frames[last] : undefined;
      sink.finish(signal.aborted ? NO_BYTES : (terminal ?? NO_BYTES), undefined);
      return undefined;
    }
    let ended: { readonly terminal: Uint8Array; readonly error: WeirError | undefined } | undefined;
    let failure: Awaited<ReturnType<typeof run>>;
    try {
      failure = await run(
        incoming,
        trail,
        {
          start: (...started) => sink.start(...started),
          drained: () => sink.drained(),
          frame(bytes) {
            found.frame(bytes);
            return sink.frame(bytes);
          },
          event(event) {
            found.event(event);
            return sink.event(event);
          },
          finish(terminal, error) {
            ended = { terminal, error };
          },
        },
        signal,
      );
    } catch (error) {
      await found.release();
      throw error;
    }
    if (ended !== undefined && incoming.dialect !== undefined) found.frame(ended.terminal);
    await end(found, trail, ended !== undefined && trail.outcome === "succeeded");
    if (ended !== undefined) sink.finish(ended.terminal, ended.error);
    return failure;
  }
  return (incoming, trail, sink, signal) => {
    const { idempotencyKey: key = "" } = incoming;
    return key === "" ? run(incoming, trail, sink, signal) : once(key, incoming, trail, sink, signal);
  };
}

const NO_BYTES = new Uint8Array(0);
