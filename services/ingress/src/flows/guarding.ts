/** Requests and answers on their way through their guardrails. Fails closed: what cannot be scanned as its guardrails want goes nowhere. */
import type { Place } from "@weir/guardrails";
import type { Output } from "../domain/call.ts";
import { guardInput, guardOutput } from "../domain/guardrails/guarded.ts";
import type { Both, GuardSession } from "../domain/guardrails/session.ts";
import { SseGuard } from "../domain/guardrails/sse-guard.ts";
import { TypedGuard } from "../domain/guardrails/typed-guard.ts";
import type { ExternalDetectors } from "../ports.ts";
import type { Incoming } from "./trail.ts";

const INWARD: readonly Place[] = ["input", "tool-results"];
const OUTWARD: readonly Place[] = ["output", "tool-arguments"];

async function askOutside(
  session: GuardSession,
  detectors: ExternalDetectors,
  requestId: string,
  places: readonly Place[],
): Promise<void> {
  const asked = session.guard.external.flatMap((check) =>
    places
      .filter((place) => check.places.includes(place) && session.passed(place).length > 0)
      .map(async (place) => {
        const texts = session.passed(place);
        return { check, place, answer: await detectors.ask(check, { request_id: requestId, place, texts }) };
      }),
  );
  for (const { check, place, answer } of await Promise.all(asked)) session.told(check, place, answer);
}

/**
 * Before anything is held for the request: what it may cost is worked out from what is sent.
 * @throws WeirError guardrail_blocked, invalid_request; `session` has the verdict all the same
 */
export function guardRequest<Input>(session: GuardSession, incoming: Incoming<Input>): Incoming<Input> {
  const { input, changed } = guardInput<Input>(session, incoming.input);
  if (changed === undefined) return incoming;
  const inputBytes = changed instanceof Uint8Array ? changed : (incoming.encode?.(changed) ?? NOTHING);
  const { shape } = incoming;
  const grown = Math.max(0, inputBytes.length - incoming.inputBytes.length);
  return { ...incoming, input, inputBytes, shape: { ...shape, textBytes: shape.textBytes + grown } };
}

const NOTHING = new Uint8Array(0);

/**
 * After the request was admitted: limits hold for what is asked outside, too.
 * @throws WeirError guardrail_blocked
 */
export async function askAboutRequest(
  session: GuardSession,
  detectors: ExternalDetectors,
  requestId: string,
): Promise<void> {
  if (session.guard.external.length > 0) await askOutside(session, detectors, requestId, INWARD);
}

/** @throws WeirError guardrail_blocked */
export async function guardAnswer<Typed>(
  session: GuardSession,
  detectors: ExternalDetectors,
  requestId: string,
  output: Output<Typed>,
): Promise<Both<Output<Typed>>> {
  const both = guardOutput(session, output);
  if (session.guard.external.length > 0) await askOutside(session, detectors, requestId, OUTWARD);
  return both;
}

/** All methods throw guardrail_blocked: then nothing that came last may be shown. */
export interface GuardedStream<Event> {
  frame(bytes: Uint8Array): Both<Uint8Array>;
  event(event: Event): readonly Both<Event>[];
  /** What is left, and the terminal bytes. */
  end(terminal: Uint8Array): Promise<{ readonly bytes: Both<Uint8Array>; readonly events: readonly Both<Event>[] }>;
}

export function guardStream<Event>(
  session: GuardSession,
  detectors: ExternalDetectors,
  incoming: Incoming<unknown>,
): GuardedStream<Event> {
  const { dialect, requestId } = incoming;
  const sse = dialect === undefined || dialect === "openai-embeddings" ? undefined : new SseGuard(session, dialect);
  const typed = new TypedGuard<Event>(session);
  return {
    frame: (bytes) => sse?.push(bytes) ?? { shown: bytes, kept: bytes },
    event: (event) => typed.push(event),
    async end(terminal) {
      const bytes = sse?.end(terminal) ?? { shown: terminal, kept: terminal };
      const events = typed.end();
      if (session.guard.external.length > 0) await askOutside(session, detectors, requestId, OUTWARD);
      return { bytes, events };
    },
  };
}
