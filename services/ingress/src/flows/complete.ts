import { type Clock, WeirError } from "@weir/kernel";
import { type Answer, type CallResult, callerError, mayHaveTried, type Output, UpstreamError } from "../domain/call.ts";
import { keepsTexts } from "../domain/key.ts";
import type { ExternalDetectors, Journal, PayloadRecorder, Upstream } from "../ports.ts";
import type { Close } from "./close.ts";
import { guardAnswer } from "./guarding.ts";
import type { Open } from "./open.ts";
import type { Incoming, Trail } from "./trail.ts";

/**
 * A request with one answer. Resolves once the outcome is recorded, so its answer may be sent whole.
 * @throws WeirError for what the caller gets instead
 */
export type Complete<Input, Typed> = (
  incoming: Incoming<Input>,
  trail: Trail,
  signal: AbortSignal,
) => Promise<Output<Typed>>;

const NO_BYTES = new Uint8Array(0);

/** Why a request was ended before its time: by whoever gave a reason, else because its client left. */
export const clientClosed = (signal: AbortSignal): WeirError =>
  signal.reason instanceof WeirError ? signal.reason : new WeirError("client_closed", "The client went away.");

export const noResult = (error: WeirError | undefined, providerUs = 0): CallResult => ({
  served: undefined,
  usage: undefined,
  finishReason: undefined,
  attempts: [],
  error,
  dropped: [],
  headers: [],
  providerUs,
  firstTokenUs: 0,
  costNanos: 0n,
  priceVersion: "",
});

export function createComplete<Input, Typed>(
  ports: {
    readonly open: Open;
    readonly close: Close;
    readonly upstream: Pick<Upstream<Input, Typed, unknown>, "complete" | "embed">;
    readonly journal: Pick<Journal, "hmac">;
    readonly payloads: PayloadRecorder<Typed, unknown>;
    readonly detectors: ExternalDetectors;
    readonly clock: Clock;
  },
  method: "complete" | "embed",
  timeoutMs: number,
): Complete<Input, Typed> {
  const { open, close, upstream, journal, payloads, detectors, clock } = ports;
  return async (incoming, trail, signal) => {
    const opened = await open(incoming, trail, signal);
    const { session } = opened;
    const { key } = opened.grant;
    const texts = keepsTexts(key.payloads)
      ? payloads.begin(incoming.requestId, incoming.inputType, opened.inputBytes, opened.subject)
      : undefined;
    const calledMs = clock.monotonicMs();
    let answer: Answer<Typed>;
    try {
      // Who left while we were admitting is not called for.
      if (signal.aborted) throw new UpstreamError(clientClosed(signal), false);
      answer = await upstream[method](opened.call, { signal, timeoutMs, traceparent: incoming.traceparent });
    } catch (failure) {
      const error = signal.aborted ? clientClosed(signal) : callerError(failure);
      const waitedUs = Math.round((clock.monotonicMs() - calledMs) * 1000);
      await close(opened, trail, {
        kind: signal.aborted ? "cancelled" : "failed",
        status: error.status,
        error: error.reason,
        result: noResult(error, waitedUs),
        outputHmac: NO_BYTES,
        payload: texts?.sealed(),
        mayHaveTried: mayHaveTried(failure),
      });
      throw error;
    }
    const { result } = answer;
    let { output } = answer;
    if (session !== undefined && method === "complete") {
      try {
        const both = await guardAnswer(session, detectors, incoming.requestId, output);
        texts?.answer(both.kept);
        output = both.shown;
      } catch (failure) {
        const error = callerError(failure);
        await close(opened, trail, {
          kind: "failed",
          status: error.status,
          error: error.reason,
          result,
          outputHmac: NO_BYTES,
          payload: texts?.sealed(),
          mayHaveTried: false,
        });
        throw error;
      }
    } else texts?.answer(output);
    const shown = output;
    const status = shown.kind === "raw" ? shown.status : (result.error?.status ?? 200);
    const keepsHash = shown.kind === "raw" && key.payloads !== "none";
    await close(opened, trail, {
      kind: signal.aborted ? "cancelled" : result.error === undefined ? "succeeded" : "failed",
      status,
      error: result.error?.reason,
      result,
      outputHmac: keepsHash ? journal.hmac(key.workspaceId, shown.body) : NO_BYTES,
      payload: texts?.sealed(),
      mayHaveTried: false,
    });
    if (shown.kind === "none") throw result.error ?? new WeirError("internal", "The router gave no answer.");
    return shown;
  };
}
