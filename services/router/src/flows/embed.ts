import type { Usage } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import type { Call, CallResult, EmbedInput, EmbedResponse, RawAnswer } from "../domain/call.ts";
import {
  embedUsage,
  parseEmbedRequest,
  parseEmbedResponse,
  renderEmbedRequest,
  renderEmbedResponse,
  usageOfInput,
} from "../domain/embeddings.ts";
import { isEmbedWire } from "../domain/wire.ts";
import type { RoutedTarget } from "../ports.ts";
import {
  type CallContext,
  finishServed,
  type FlowDependencies,
  type Outcome,
  type Tried,
  tryInTurn,
} from "./attempts.ts";
import { badAnswer, notSayable } from "./complete.ts";
import { fetchWhole, isFailure, readRefusal, requestTo } from "./exchange.ts";
import { parseObject, textOf } from "./prepare.ts";
import { failedResult, servedResult } from "./result.ts";
import { spliceJson } from "@weir/dialects";

export interface Embedded {
  readonly result: CallResult;
  readonly output:
    | { readonly kind: "raw"; readonly answer: RawAnswer }
    | { readonly kind: "typed"; readonly response: EmbedResponse }
    | { readonly kind: "none" };
}

interface Answered {
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
  let tried: Tried<Answered>;
  try {
    tried = await tryInTurn(
      dependencies,
      call,
      context,
      targets,
      () => 1,
      (target) => attempt(dependencies, call, input, context, target),
    );
  } catch (error) {
    tried = notSayable(error);
  }
  const spentMs = clock.monotonicMs() - startedMs;
  const { running } = tried;
  if (running === undefined) {
    const result = failedResult(tried, spentMs);
    if (input.kind === "typed" || tried.error === undefined) return { result, output: { kind: "none" } };
    const { last, error } = tried;
    const body = Buffer.from(JSON.stringify(dialects["openai-chat"].renderError(error, call.requestId)));
    const rendered = { status: error.status, contentType: "application/json", body };
    return { result, output: { kind: "raw", answer: last?.answer ?? rendered } };
  }
  const durationMs = clock.monotonicMs() - running.startedMs;
  finishServed(running.target, durationMs);
  const texts = input.kind === "raw" ? textOf(input.body) : input.request.inputs.join("\n");
  const usage = running.value.usage ?? usageOfInput(await tokens.count(running.target, texts), true);
  const outcome = { usage, finishReason: undefined, status: 200, error: undefined, durationMs };
  return {
    result: servedResult(running, tried.failures, outcome, { dropped: [], spentMs, firstTokenMs: 0 }),
    output: running.value.output,
  };
}

async function attempt(
  dependencies: FlowDependencies,
  call: Call,
  input: EmbedInput,
  context: CallContext,
  target: RoutedTarget,
): Promise<Outcome<Answered>> {
  const wire = target.wires.find(isEmbedWire);
  if (wire === undefined)
    throw new WeirError("unsupported", `${target.provider}/${target.model} makes no embeddings.`, { param: "model" });
  const same = input.kind === "raw" && wire === "openai-embeddings";
  const asked = same ? undefined : input.kind === "raw" ? parseEmbedRequest(parseObject(input.body)) : input.request;
  let body: Uint8Array;
  if (asked !== undefined) body = Buffer.from(JSON.stringify(renderEmbedRequest(wire, target.model, asked)));
  else if (input.kind === "raw" && target.model !== call.model)
    body = spliceJson(input.body, { model: JSON.stringify(target.model) });
  else body = input.kind === "raw" ? input.body : EMPTY;
  const nowMs = dependencies.clock.monotonicMs();
  const request = requestTo(target, wire, false, body, call.headers, context, nowMs);
  const answer = await fetchWhole(target, request, dependencies.maxAnswerBytes);
  if (isFailure(answer)) return { ok: false, failure: answer };
  const { status, headers } = answer;
  if (status < 200 || status > 299) {
    const dialect = dependencies.dialects[wire === "openai-embeddings" ? "openai-chat" : "gemini-generate"];
    return { ok: false, failure: readRefusal(target, answer, dialect.parseError.bind(dialect), same) };
  }
  try {
    const json = parseObject(answer.body);
    const usage = embedUsage(wire, json);
    if (asked === undefined) {
      const contentType = headers.get("content-type") ?? "application/json";
      return {
        ok: true,
        value: { usage, output: { kind: "raw", answer: { status, contentType, body: answer.body } } },
      };
    }
    const response = parseEmbedResponse(wire, target.model, json);
    if (input.kind === "typed") return { ok: true, value: { usage, output: { kind: "typed", response } } };
    const rendered = renderEmbedResponse(response, "base64" in asked && asked.base64 === true);
    const raw = { status: 200, contentType: "application/json", body: Buffer.from(JSON.stringify(rendered)) };
    return { ok: true, value: { usage, output: { kind: "raw", answer: raw } } };
  } catch (error) {
    return { ok: false, failure: badAnswer(error, status) };
  }
}

const EMPTY = new Uint8Array(0);
