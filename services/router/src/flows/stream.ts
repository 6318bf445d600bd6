import { WeirError } from "@weir/kernel";
import type { Price } from "@weir/pricing";
import type { Attempt, CacheUse, Call, CallResult, ChatInput, HeaderPair, RawAnswer, Served } from "../domain/call.ts";
import { type AttemptFailure, answeredFailure, shown, transportFailure } from "../domain/failure.ts";
import type { RoutedTarget } from "../ports.ts";
import {
  type CallContext,
  type FlowDependencies,
  type Outcome,
  type Running,
  type Tried,
  tryInTurn,
} from "./attempts.ts";
import { notSayable } from "./complete.ts";
import { providerHeaders, readRefusal, refusedInside, requestTo } from "./exchange.ts";
import { Preparation, type Prepared } from "./prepare.ts";
import { Pump } from "./pump.ts";
import { failedResult, failureAnswer, servedResult } from "./result.ts";
import { PassThrough, type Shown, type StreamSide, Translated } from "./stream-side.ts";
import { estimateUsage, raisedTo } from "./usage.ts";
import { endProbe, finishFailed, finishServed, release } from "./target-health.ts";

export type StreamMessage =
  | {
      readonly kind: "start";
      readonly served: Served;
      readonly dropped: readonly string[];
      readonly price: Price | undefined;
      readonly inputTokensEstimate: number;
      readonly failures: readonly Attempt[];
      readonly outputBytes: number;
      readonly headers: readonly HeaderPair[];
      readonly cache?: CacheUse | undefined;
    }
  | { readonly kind: "shown"; readonly shown: readonly Shown[]; readonly outputBytes: number }
  | {
      readonly kind: "end";
      readonly result: CallResult;
      readonly terminal: Uint8Array;
      readonly failure: RawAnswer | undefined;
      readonly outputBytes: number;
    };

interface Flowing {
  readonly prepared: Prepared;
  readonly pump: Pump;
  readonly side: StreamSide;
  readonly headers: readonly HeaderPair[];
  readonly firstTokenMs: number;
  /** From now on the call's end does not cut the provider's connection. */
  readonly detach: () => void;
}

const EMPTY = new Uint8Array(0);
/** How long the end of the connection may take after the terminal event; then it is closed instead of used again. */
const TAIL_MS = 1_000;
/** What a refusal may weigh. */
const MAX_REFUSAL_BYTES = 1024 * 1024;

/**
 * One request, one streamed answer. Nothing is shown before the provider's first content event: until then a failure is tried elsewhere.
 * After it there is no retry; a stream that breaks ends in an in-band error. If the client goes away (`signal`, or the consumer stops) the
 * provider's stream is cancelled at once; the consumer settles by what `start` told.
 * @throws WeirError client_closed, deadline_exceeded where the call is cancelled
 */
export async function* stream(
  dependencies: FlowDependencies,
  call: Call,
  input: ChatInput,
  context: CallContext,
  targets: readonly RoutedTarget[],
): AsyncGenerator<StreamMessage, void, undefined> {
  const { clock, dialects } = dependencies;
  const startedMs = clock.monotonicMs();
  const preparation = new Preparation(dependencies, input, call, true);
  let tried: Tried<Flowing>;
  try {
    tried = await tryInTurn(dependencies, call, context, targets, {
      stream: true,
      answers: () => preparation.answers,
      run: (target, limits) => open(dependencies, call, input, limits, preparation, target),
    });
  } catch (error) {
    tried = notSayable(error);
  }
  const { running } = tried;
  if (running === undefined) {
    const failure = failureAnswer(dialects, input, tried, call.requestId);
    const result = failedResult(tried, clock.monotonicMs() - startedMs);
    yield { kind: "end", result, terminal: EMPTY, failure, outputBytes: 0 };
    return;
  }
  yield* flow(dependencies, call, context, preparation, running, tried.failures, startedMs);
}

async function* flow(
  dependencies: FlowDependencies,
  call: Call,
  context: CallContext,
  preparation: Preparation,
  running: Running<Flowing>,
  failures: Attempt[],
  startedMs: number,
): AsyncGenerator<StreamMessage, void, undefined> {
  const { clock, tokens } = dependencies;
  const { target, value } = running;
  const { pump, side, prepared, headers } = value;
  const outputLimit = preparation.outputLimit(target);
  // A token has at least one byte; a charge by it must stay within the hold, which was taken for the cap.
  const outputBound = (): number => Math.min(side.outputBytes, outputLimit);
  const held = call.holdOwner !== "";
  let finished = false;
  try {
    const { provider, model, region } = target;
    yield {
      kind: "start",
      served: { provider, model, region, attempt: running.attempt, origin: target.upstream.origin },
      dropped: prepared.dropped,
      // What this tells charges a stream whose account is lost: what a budget holds is charged what it can have cost at most, and in whole
      // where tools may have been called.
      price: held && call.tools !== undefined ? undefined : running.price,
      inputTokensEstimate: held ? call.inputBound || prepared.body.length : Math.ceil(prepared.body.length / 4),
      failures,
      outputBytes: outputBound(),
      headers,
    };
    for (;;) {
      const shownNow = side.take();
      if (shownNow.length > 0) yield { kind: "shown", shown: shownNow, outputBytes: outputBound() };
      if (side.done || side.failure !== undefined) break;
      const chunks = await pump.next();
      if (chunks === undefined) break;
      for (const chunk of chunks) side.push(chunk);
    }
    const { failure } = pump;
    const abandoned = failure?.kind === "cancelled" && !side.done;
    if (abandoned && context.heard?.() !== true) throw clientGone();
    const broken =
      failure === undefined || side.done ? undefined : abandoned ? clientGone() : interrupted(failure.kind);
    const end = side.end(broken === undefined ? undefined : shown(broken, target.upstream.betrays));
    const { finishReason, error } = end;
    // What was told of a stream that broke off may be older than what was sent: Anthropic's begins with one output token.
    let { usage } = end;
    if (usage === undefined || error !== undefined) {
      const said = { texts: side.written, bytes: side.outputBytes, toolCalls: end.toolCalls, abandoned };
      const counted = await estimateUsage(tokens, target, call, preparation.read, said, outputLimit);
      usage = usage === undefined ? counted : raisedTo(usage, counted);
      // What was told of an answer that nobody read to its end is not what it came to.
      if (abandoned && !usage.estimated) usage = { ...usage, estimated: true };
    }
    const closing = side.close(usage);
    if (closing.rest.length > 0) yield { kind: "shown", shown: closing.rest, outputBytes: outputBound() };
    const durationMs = clock.monotonicMs() - running.startedMs;
    if (!abandoned) {
      finished = true;
      if (error === undefined) finishServed(dependencies, target, value.firstTokenMs, durationMs);
      else finishFailed(dependencies, target, error, durationMs);
    }
    const { terminal } = closing;
    const dropped = closing.dropped.length === 0 ? prepared.dropped : [...prepared.dropped, ...closing.dropped];
    const spentMs = clock.monotonicMs() - startedMs;
    const outcome = { usage, finishReason, status: 200, error, durationMs };
    const result = servedResult(running, failures, outcome, {
      dropped,
      headers,
      spentMs,
      firstTokenMs: value.firstTokenMs,
    });
    yield { kind: "end", result, terminal, failure: undefined, outputBytes: outputBound() };
  } finally {
    if (!finished) {
      // The client is gone: nothing can be said about the target.
      release(target);
      endProbe(dependencies, target);
    }
    letGo(value, finished && side.done);
  }
}

/** A stream that is over gives its connection back by itself; any other is cut. */
function letGo({ pump, detach }: Flowing, over: boolean): void {
  const { exchange } = pump;
  if (exchange === undefined) return;
  if (!over) return exchange.cancel();
  // The call's signal fires at its end, too, and would cut a connection that is about to be free.
  detach();
  setTimeout(() => exchange.cancel(), TAIL_MS).unref();
}

const clientGone = (): WeirError => new WeirError("client_closed", "The client went away.");

function interrupted(kind: Parameters<typeof transportFailure>[0]): WeirError {
  const { error } = transportFailure(kind, true);
  return error.reason === "deadline_exceeded" || error.reason === "provider_timeout"
    ? error
    : new WeirError("stream_interrupted", "The provider's stream broke off.", { cause: error });
}

/** Starts an attempt and holds it until it is known good: its first content event is here, or a whole answer without content. */
async function open(
  dependencies: FlowDependencies,
  call: Call,
  input: ChatInput,
  context: CallContext,
  preparation: Preparation,
  target: RoutedTarget,
): Promise<Outcome<Flowing>> {
  const { clock, wires } = dependencies;
  const prepared = preparation.for(target);
  const sentMs = clock.monotonicMs();
  const cut = new AbortController();
  const onAbort = (): void => cut.abort(context.signal.reason);
  context.signal.addEventListener("abort", onAbort, { once: true });
  if (context.signal.aborted) onAbort();
  const detach = (): void => context.signal.removeEventListener("abort", onAbort);
  const streaming = { ...context, signal: cut.signal };
  const request = requestTo(target, prepared.wire, true, prepared.body, call.headers, streaming, sentMs);
  const pump = new Pump();
  pump.exchange = target.upstream.transport.send(request, pump);
  await pump.opened();
  if (pump.headers === undefined) return failedBy(pump);
  const { status, headers } = pump;
  const provider = wires[prepared.wire];
  const { same } = prepared;
  if (status < 200 || status > 299) {
    const body = await rest(pump);
    const parse = provider.parseError.bind(provider);
    return { ok: false, failure: readRefusal(target, { status, headers, body }, parse, same !== undefined) };
  }
  // What can be counted at the end of a stream that tells no usage.
  const keepText = target.vocabulary !== undefined;
  const side =
    same === undefined
      ? new Translated(provider, target, clientOf(dependencies, input, call, preparation), keepText)
      : new PassThrough(same, { hideUsage: prepared.hideUsage, keepText }, call.requestId);
  while (!side.started && !side.done && side.failure === undefined) {
    const chunks = await pump.next();
    if (chunks === undefined) break;
    for (const chunk of chunks) side.push(chunk);
  }
  if (side.failure !== undefined && !side.started) {
    pump.exchange.cancel();
    return { ok: false, failure: refusedInside(target, { error: side.failure }, status, side.failureBody()) };
  }
  if (!side.started && !side.done) return brokenOff(pump, status);
  return {
    ok: true,
    value: {
      prepared,
      pump,
      side,
      headers: providerHeaders(headers),
      firstTokenMs: clock.monotonicMs() - sentMs,
      detach,
    },
  };
}

function clientOf({ dialects, clock }: FlowDependencies, input: ChatInput, call: Call, preparation: Preparation) {
  if (input.kind === "typed") return undefined;
  const dialect = dialects[input.dialect];
  const { requestId } = call;
  const nowS = Math.floor(clock.nowMs() / 1000);
  return { dialect, requestId, renderer: dialect.streamRenderer({ request: preparation.core, requestId, nowS }) };
}

function failedBy(pump: Pump): Outcome<never> {
  const { failure } = pump;
  return { ok: false, failure: transportFailure(failure?.kind ?? "reset", failure?.sent ?? true) };
}

/** It was answered with 200 and then ended without content: worked on, perhaps billed. */
function brokenOff(pump: Pump, status: number): Outcome<never> {
  const { failure } = pump;
  const error =
    failure === undefined
      ? new WeirError("provider_bad_response", "The provider's stream ended before it began.")
      : transportFailure(failure.kind, true).error;
  const broken: AttemptFailure = { ...answeredFailure(error, status), billing: "unknown" };
  return { ok: false, failure: broken };
}

async function rest(pump: Pump): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const chunks = await pump.next();
    if (chunks === undefined) break;
    for (const chunk of chunks) {
      bytes += chunk.length;
      pieces.push(chunk);
    }
    if (bytes > MAX_REFUSAL_BYTES) {
      pump.exchange?.cancel();
      break;
    }
  }
  return Buffer.concat(pieces);
}
