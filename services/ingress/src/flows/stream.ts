/**
 * A request whose answer comes piece by piece. Nothing is retried once the client saw something; the terminal bytes are shown only
 * after the outcome is recorded; a stream that breaks ends in an in-band error and never looks complete.
 */
import { type Clock, WeirError } from "@weir/kernel";
import { accountOf, estimatedResult } from "../domain/cancelled.ts";
import {
  type Attempt,
  type CallResult,
  callerError,
  isHit,
  mayHaveTried,
  type Output,
  type Served,
  type StreamMessage,
  type StreamRates,
  UpstreamError,
} from "../domain/call.ts";
import { keepsTexts } from "../domain/key.ts";
import type { ExternalDetectors, Journal, PayloadRecorder, Upstream } from "../ports.ts";
import type { Close } from "./close.ts";
import { clientClosed, noResult } from "./complete.ts";
import { guardStream } from "./guarding.ts";
import { leaving } from "./leaving.ts";
import type { Open } from "./open.ts";
import type { Incoming, Trail } from "./trail.ts";

/** Where a stream goes: an HTTP client or an RPC caller. */
export interface StreamSink<Event> {
  start(served: Served, dropped: readonly string[], headers: readonly (readonly [string, string])[]): void;
  /** @returns false when the client is behind: wait for `drained` */
  frame(bytes: Uint8Array): boolean;
  event(event: Event): boolean;
  /** Resolves when there is room again, or the client is gone. */
  drained(): Promise<void>;
  /** The last bytes. `error` is set where the stream did not end well; `terminal` is then empty if nobody rendered it yet. */
  finish(terminal: Uint8Array, error: WeirError | undefined): void;
}

/** @returns the answer of a stream that never started; undefined where the sink got it all */
export type Stream<Input, Event> = (
  incoming: Incoming<Input>,
  trail: Trail,
  sink: StreamSink<Event>,
  signal: AbortSignal,
) => Promise<Output<never> | undefined>;

const NO_BYTES = new Uint8Array(0);

export function createStream<Input, Event>(
  ports: {
    readonly open: Open;
    readonly close: Close;
    readonly upstream: Pick<Upstream<Input, unknown, Event>, "stream" | "cancel">;
    readonly journal: Pick<Journal, "hmacStream">;
    readonly payloads: PayloadRecorder<never, Event>;
    readonly detectors: ExternalDetectors;
    readonly clock: Clock;
  },
  timeoutMs: number,
): Stream<Input, Event> {
  const { open, close, upstream, journal, payloads, detectors, clock } = ports;
  return async (incoming, trail, sink, signal) => {
    const opened = await open(incoming, trail, signal);
    const { key } = opened.grant;
    const hash = key.payloads === "none" ? undefined : journal.hmacStream(key.workspaceId);
    const texts = keepsTexts(key.payloads)
      ? payloads.begin(incoming.requestId, incoming.inputType, opened.inputBytes, opened.subject)
      : undefined;
    const guarded = opened.session && guardStream<Event>(opened.session, detectors, incoming);
    const calledMs = clock.monotonicMs();
    let served: Served | undefined;
    let rates: StreamRates | undefined;
    let failedAttempts: readonly Attempt[] = [];
    let outputBytes = 0;
    let end: Extract<StreamMessage<Event>, { kind: "end" }> | undefined;
    let failure: WeirError | undefined;
    let tried = true;
    let shown = false;
    let leftBefore = false;
    let terminal: Uint8Array = NO_BYTES;
    let keptTerminal: Uint8Array = NO_BYTES;
    const frame = (bytes: Uint8Array, kept: Uint8Array): boolean => {
      if (bytes.length === 0) return true;
      hash?.update(bytes);
      texts?.frame(kept);
      return sink.frame(bytes);
    };
    const event = (one: Event, kept: Event): boolean => {
      texts?.event(kept);
      return sink.event(one);
    };
    const { requestId } = incoming;
    const leave = leaving(signal, (askMs) => upstream.cancel(requestId, askMs));
    try {
      // Who left while we were admitting is not called for.
      if (signal.aborted) throw new UpstreamError(clientClosed(signal), false);
      const options = { signal: leave.signal, timeoutMs, traceparent: incoming.traceparent };
      for await (const message of upstream.stream(opened.call, options)) {
        let room = true;
        switch (message.kind) {
          case "start":
            served = message.served;
            rates = message.rates;
            failedAttempts = message.failedAttempts;
            trail.cache = message.cache;
            if (signal.aborted) break;
            shown = true;
            sink.start(served, message.dropped, message.headers);
            break;
          case "frame":
            outputBytes = message.outputBytes;
            // Nobody sees what comes after the client left; only its account matters.
            if (signal.aborted) break;
            if (guarded === undefined) room = frame(message.bytes, message.bytes);
            else {
              const { shown: bytes, kept } = guarded.frame(message.bytes);
              room = frame(bytes, kept);
            }
            break;
          case "event":
            outputBytes = message.outputBytes;
            if (signal.aborted) break;
            if (guarded === undefined) room = event(message.event, message.event);
            else for (const { shown: one, kept } of guarded.event(message.event)) room = event(one, kept);
            break;
          case "end":
            leftBefore = signal.aborted;
            if (guarded !== undefined && shown && !leftBefore && message.result.error === undefined) {
              const left = await guarded.end(message.terminal);
              for (const { shown: one, kept } of left.events) room = event(one, kept);
              ({ shown: terminal, kept: keptTerminal } = left.bytes);
            } else terminal = keptTerminal = message.terminal;
            end = message;
            break;
        }
        if (!room) await sink.drained();
      }
    } catch (error) {
      failure = callerError(error);
      tried = mayHaveTried(error);
    } finally {
      leave.done();
    }
    const waitedUs = Math.round((clock.monotonicMs() - calledMs) * 1000);
    const cancelled = end === undefined ? signal.aborted : leftBefore;
    if (cancelled) failure = clientClosed(signal);
    else if (end === undefined) failure ??= new WeirError("stream_interrupted", "The router ended the stream early.");
    const result: CallResult =
      end?.result ??
      (served === undefined || isHit(trail.cache)
        ? { ...noResult(failure as WeirError, waitedUs), ...accountOf(failedAttempts), served, cache: trail.cache }
        : estimatedResult(failure as WeirError, served, rates, failedAttempts, outputBytes, waitedUs));
    const error = failure ?? result.error;
    if (end !== undefined && !cancelled) {
      hash?.update(terminal);
      if (!shown) texts?.answer(end.failure);
      else if (keptTerminal.length > 0) texts?.frame(keptTerminal);
    }
    await close(opened, trail, {
      kind: cancelled ? "cancelled" : error === undefined ? "succeeded" : "failed",
      status: shown ? 200 : end?.failure.kind === "raw" ? end.failure.status : (error?.status ?? 200),
      error: error?.reason,
      result,
      outputHmac: hash?.digest() ?? NO_BYTES,
      payload: texts?.sealed(),
      mayHaveTried: end === undefined && tried && !isHit(trail.cache),
    });
    if (shown) {
      sink.finish(cancelled ? NO_BYTES : terminal, error);
      return undefined;
    }
    if (end !== undefined && !cancelled && end.failure.kind !== "none") return end.failure;
    throw error ?? new WeirError("internal", "The router gave no answer.");
  };
}
