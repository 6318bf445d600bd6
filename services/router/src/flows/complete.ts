import type { ChatResponse, Dialect, FinishReason, JsonObject, Usage } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { Call, CallResult, ChatInput, HeaderPair, RawAnswer } from "../domain/call.ts";
import { answeredFailure, type AttemptFailure } from "../domain/failure.ts";
import type { RoutedTarget } from "../ports.ts";
import { type CallContext, type FlowDependencies, type Outcome, type Tried, tryInTurn } from "./attempts.ts";
import {
  fetchWhole,
  isFailure,
  providerHeaders,
  readRefusal,
  refusedInside,
  requestTo,
  type WholeAnswer,
} from "./exchange.ts";
import { failedResult, failureAnswer, servedResult } from "./result.ts";
import { parseObject, type Prepared, Preparation } from "./prepare.ts";
import { bytesOf, estimateUsage, type Said, textsOfParts } from "./usage.ts";
import { finishServed } from "./target-health.ts";

export interface Completed {
  readonly result: CallResult;
  readonly output:
    | { readonly kind: "raw"; readonly answer: RawAnswer }
    | { readonly kind: "typed"; readonly response: ChatResponse }
    | { readonly kind: "none" };
}

interface Answered {
  readonly prepared: Prepared;
  readonly output: Completed["output"];
  readonly usage: Usage | undefined;
  readonly finishReason: FinishReason | undefined;
  readonly dropped: readonly string[];
  readonly status: number;
  readonly headers: readonly HeaderPair[];
}

/** One request, one whole answer. */
export async function complete(
  dependencies: FlowDependencies,
  call: Call,
  input: ChatInput,
  context: CallContext,
  targets: readonly RoutedTarget[],
): Promise<Completed> {
  const startedMs = dependencies.clock.monotonicMs();
  const preparation = new Preparation(dependencies, input, call, false);
  let tried: Tried<Answered>;
  try {
    tried = await tryInTurn(dependencies, call, context, targets, {
      stream: false,
      answers: () => preparation.answers,
      run: (target, limits) => attemptWhole(dependencies, call, input, limits, preparation, target),
    });
  } catch (error) {
    tried = notSayable(error);
  }
  const spentMs = dependencies.clock.monotonicMs() - startedMs;
  const { running } = tried;
  if (running === undefined) {
    const result = failedResult(tried, spentMs);
    const answer = failureAnswer(dependencies.dialects, input, tried, call.requestId);
    return { result, output: answer === undefined ? { kind: "none" } : { kind: "raw", answer } };
  }
  const { value, target } = running;
  const durationMs = dependencies.clock.monotonicMs() - running.startedMs;
  finishServed(dependencies, target, undefined, durationMs);
  const dropped = value.dropped.length === 0 ? value.prepared.dropped : [...value.prepared.dropped, ...value.dropped];
  const outcome = {
    usage: value.usage,
    finishReason: value.finishReason,
    status: value.status,
    error: undefined,
    durationMs,
  };
  return {
    result: servedResult(running, tried.failures, outcome, {
      dropped,
      headers: value.headers,
      spentMs,
      firstTokenMs: 0,
    }),
    output: value.output,
  };
}

/** A request that cannot be said in the target's dialect, or in its own: the client's fault, no attempt. */
export function notSayable(error: unknown): Tried<never> {
  if (!(error instanceof WeirError)) throw error;
  return { running: undefined, failures: [], error, last: undefined };
}

async function attemptWhole(
  dependencies: FlowDependencies,
  call: Call,
  input: ChatInput,
  context: CallContext,
  preparation: Preparation,
  target: RoutedTarget,
): Promise<Outcome<Answered>> {
  const prepared = preparation.for(target);
  const nowMs = dependencies.clock.monotonicMs();
  const request = requestTo(target, prepared.wire, false, prepared.body, call.headers, context, nowMs);
  const answer = await fetchWhole(target, request, dependencies.maxAnswerBytes);
  if (isFailure(answer)) return { ok: false, failure: answer };
  const provider = dependencies.wires[prepared.wire];
  const { same } = prepared;
  if (answer.status < 200 || answer.status > 299) {
    const parse = provider.parseError.bind(provider);
    return { ok: false, failure: readRefusal(target, answer, parse, same !== undefined) };
  }
  try {
    const json = parseObject(answer.body);
    // OpenRouter's and others' 200 may hold an error, a response may have failed.
    const failure = provider.inspectResponse?.(json).failure;
    if (failure !== undefined) {
      const said = same === undefined ? undefined : answer.body;
      return { ok: false, failure: refusedInside(target, failure, answer.status, said) };
    }
    return { ok: true, value: await read(dependencies, call, input, preparation, prepared, target, answer, json) };
  } catch (error) {
    return { ok: false, failure: badAnswer(error, answer.status) };
  }
}

/** A 2xx that cannot be read was worked on, and may be billed. */
export function badAnswer(error: unknown, status: number): AttemptFailure {
  const reason = error instanceof WeirError && error.reason.startsWith("provider_") ? error : undefined;
  const known =
    reason ?? new WeirError("provider_bad_response", "The provider's answer cannot be read.", { cause: error });
  return answeredFailure(known, status);
}

async function read(
  { dialects, wires, clock, tokens }: FlowDependencies,
  call: Call,
  input: ChatInput,
  preparation: Preparation,
  prepared: Prepared,
  target: RoutedTarget,
  { status, headers: received, body: bytes }: WholeAnswer,
  json: JsonObject,
): Promise<Answered> {
  const headers = providerHeaders(received);
  // Counted here where the provider does not tell, before the answer is written: its client is told what is charged.
  const counted = (said: Said): Promise<Usage> =>
    estimateUsage(tokens, target, call, preparation.read, said, preparation.outputLimit(target));
  if (prepared.same !== undefined) {
    const { usage, finishReason, outputCharacters } = prepared.same.inspectResponse(json);
    const contentType = received.get("content-type") ?? "application/json";
    return {
      prepared,
      output: { kind: "raw", answer: { status, contentType, body: bytes } },
      usage: usage ?? (await counted({ texts: textsIn(prepared.same, json), bytes: outputCharacters * UTF8_MOST })),
      finishReason,
      dropped: [],
      status,
      headers,
    };
  }
  const parsed = wires[prepared.wire].parseResponse(json, target);
  const texts = parsed.choices.flatMap(({ parts }) => textsOfParts(parts));
  const response = { ...parsed, usage: parsed.usage ?? (await counted({ texts, bytes: bytesOf(texts) })) };
  const rest = {
    prepared,
    usage: response.usage,
    finishReason: response.choices[0]?.finishReason,
    status,
    headers,
  };
  if (input.kind === "typed") return { ...rest, output: { kind: "typed", response }, dropped: [] };
  const nowS = Math.floor(clock.nowMs() / 1000);
  const rendered = dialects[input.dialect].renderResponse(response, {
    request: preparation.core,
    requestId: call.requestId,
    nowS,
  });
  const body = Buffer.from(JSON.stringify(rendered.body));
  return {
    ...rest,
    output: { kind: "raw", answer: { status: 200, contentType: "application/json", body } },
    dropped: rendered.dropped,
  };
}

/** Bytes that a UTF-16 unit takes in UTF-8, at most. */
const UTF8_MOST = 3;

/** What an answer says; undefined where it cannot be read as its client reads it. */
function textsIn(dialect: Dialect, body: JsonObject): string[] | undefined {
  try {
    return dialect.parseResponse(body).choices.flatMap(({ parts }) => textsOfParts(parts));
  } catch (error) {
    if (error instanceof WeirError) return undefined;
    throw error;
  }
}
