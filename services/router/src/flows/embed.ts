import {
  embeddingsDialects,
  type EmbeddingsRequest,
  type EmbeddingsResponse,
  parseEmbeddingsRequest,
  parseEmbeddingsUsage,
  renderEmbeddingsResponse,
  spliceJson,
  type Usage,
} from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { Call, CallResult, EmbedInput, RawAnswer } from "../domain/call.ts";
import { usageOfInput } from "../domain/embeddings.ts";
import { type EmbedWire, isEmbedWire } from "../domain/wire.ts";
import type { RoutedTarget, TokenCounter } from "../ports.ts";
import { type CallContext, type FlowDependencies, type Outcome, type Tried, tryInTurn } from "./attempts.ts";
import { badAnswer, notSayable } from "./complete.ts";
import { fetchWhole, isFailure, readRefusal, requestTo } from "./exchange.ts";
import { parseObject, textOf } from "./prepare.ts";
import { failedResult, servedResult } from "./result.ts";
import { estimateUsage } from "./usage.ts";
import { finishServed } from "./target-health.ts";

export interface Embedded {
  readonly result: CallResult;
  readonly output:
    | { readonly kind: "raw"; readonly answer: RawAnswer }
    | { readonly kind: "typed"; readonly response: EmbeddingsResponse }
    | { readonly kind: "none" };
}

export interface EmbeddingAnswer {
  readonly output: Embedded["output"];
  readonly usage: Usage | undefined;
}

/** Texts to vectors. A client's own bytes go to those who speak OpenAI's embeddings, which is what clients speak. */
export async function embed(
  dependencies: FlowDependencies,
  call: Call,
  input: EmbedInput,
  context: CallContext,
  targets: readonly RoutedTarget[],
): Promise<Embedded> {
  const { clock, dialects, tokens } = dependencies;
  const startedMs = clock.monotonicMs();
  let tried: Tried<EmbeddingAnswer>;
  try {
    tried = await tryInTurn(dependencies, call, context, targets, {
      stream: false,
      answers: () => 1,
      run: (target, limits) => embedAt(dependencies, call, input, limits, target),
    });
  } catch (error) {
    tried = notSayable(error);
  }
  const spentMs = clock.monotonicMs() - startedMs;
  const { running, last, error } = tried;
  if (running === undefined) {
    const result = failedResult(tried, spentMs);
    if (input.kind === "typed" || error === undefined) return { result, output: { kind: "none" } };
    const body = Buffer.from(JSON.stringify(dialects["openai-chat"].renderError(error, call.requestId, last?.code)));
    const rendered = { status: error.status, contentType: "application/json", body };
    return { result, output: { kind: "raw", answer: last?.answer ?? rendered } };
  }
  const durationMs = clock.monotonicMs() - running.startedMs;
  finishServed(dependencies, running.target, undefined, durationMs);
  const { output } = running.value;
  const usage = running.value.usage ?? (await counted(tokens, running.target, call, input));
  const outcome = { usage, finishReason: undefined, status: 200, error: undefined, durationMs };
  const result = servedResult(running, tried.failures, outcome, { dropped: [], headers: [], spentMs, firstTokenMs: 0 });
  return { result, output };
}

async function counted(tokens: TokenCounter, target: RoutedTarget, call: Call, input: EmbedInput): Promise<Usage> {
  const texts = input.kind === "raw" ? [textOf(input.body)] : input.request.inputs.map(String);
  const { inputTokens } = await estimateUsage(tokens, target, call, { texts, messages: 0, media: false }, NOTHING, 0);
  return usageOfInput(inputTokens, true);
}

const NOTHING = { texts: undefined, bytes: 0 };

/** One attempt. @throws WeirError unsupported where the target makes no embeddings */
export async function embedAt(
  dependencies: FlowDependencies,
  call: Call,
  input: EmbedInput,
  context: CallContext,
  target: RoutedTarget,
): Promise<Outcome<EmbeddingAnswer>> {
  const wire = target.wires.find(isEmbedWire);
  if (wire === undefined)
    throw new WeirError("unsupported", `${target.provider}/${target.model} makes no embeddings.`, { param: "model" });
  const dialect = embeddingsDialects[wire];
  // Undefined: the client's own bytes go through, and the provider's come back.
  const asked = coreOf(input, wire);
  const body = bodyFor(call, input, wire, asked, target);
  const nowMs = dependencies.clock.monotonicMs();
  const request = requestTo(target, wire, false, body, call.headers, context, nowMs);
  const answer = await fetchWhole(target, request, dependencies.maxAnswerBytes);
  if (isFailure(answer)) return { ok: false, failure: answer };
  const { status, headers } = answer;
  if (status < 200 || status > 299) {
    return { ok: false, failure: readRefusal(target, answer, dialect.parseError, asked === undefined) };
  }
  try {
    const json = parseObject(answer.body);
    if (asked === undefined) {
      const contentType = headers.get("content-type") ?? "application/json";
      const raw = { status, contentType, body: answer.body };
      return { ok: true, value: { usage: parseEmbeddingsUsage(json["usage"]), output: { kind: "raw", answer: raw } } };
    }
    const response = dialect.parseResponse(json, { ...asked, model: target.model });
    // Counted here where the provider does not tell it, so that the client is told what it pays for.
    const usage = response.usage ?? (await counted(dependencies.tokens, target, call, input));
    return { ok: true, value: { usage, output: outputOf(input, { ...response, usage }, asked) } };
  } catch (error) {
    return { ok: false, failure: badAnswer(error, status) };
  }
}

function coreOf(input: EmbedInput, wire: EmbedWire): EmbeddingsRequest | undefined {
  if (input.kind === "typed") return input.request;
  return wire === "openai-embeddings" ? undefined : parseEmbeddingsRequest(parseObject(input.body));
}

function bodyFor(
  call: Call,
  input: EmbedInput,
  wire: EmbedWire,
  asked: EmbeddingsRequest | undefined,
  { model }: RoutedTarget,
): Uint8Array {
  if (asked === undefined && input.kind === "raw")
    return model === call.model ? input.body : spliceJson(input.body, { model: JSON.stringify(model) });
  if (asked === undefined) throw new TypeError("a typed request is always in the core");
  const body = embeddingsDialects[wire].renderRequest({ ...asked, model });
  return Buffer.from(JSON.stringify(body));
}

function outputOf(input: EmbedInput, response: EmbeddingsResponse, asked: EmbeddingsRequest): Embedded["output"] {
  if (input.kind === "typed") return { kind: "typed", response };
  const body = Buffer.from(JSON.stringify(renderEmbeddingsResponse(response, asked)));
  return { kind: "raw", answer: { status: 200, contentType: "application/json", body } };
}
