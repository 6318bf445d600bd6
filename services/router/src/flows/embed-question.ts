/**
 * A question's vector, for the semantic cache. It is an attempt like any other: held before it is made, seen by its target's breaker, billed and
 * recorded. Failure policy: open. Whatever goes wrong, there is no vector, and the request goes on as if there were no such cache.
 */
import { WeirError } from "@weir/kernel";
import { FRAMING_TOKENS } from "@weir/pricing";
import type { Attempt, Call, EmbedInput } from "../domain/call.ts";
import { usageOfInput } from "../domain/embeddings.ts";
import { availability } from "../domain/health.ts";
import { unitVector } from "../domain/unit-vector.ts";
import type { EmbeddingEnd, RoutedTarget } from "../ports.ts";
import { attemptOf } from "./attempt-record.ts";
import type { CallContext, FlowDependencies } from "./attempts.ts";
import { embedAt } from "./embed.ts";
import { launch } from "./launch.ts";
import { held, mustAsk, permit } from "./permit.ts";
import { finishFailed, finishServed, release } from "./target-health.ts";
import { costIn, priceFor } from "./usage.ts";

export interface EmbeddedQuestion {
  readonly end: EmbeddingEnd;
  readonly vector: Float32Array | undefined;
  /** Undefined: nobody was asked. */
  readonly attempt: Attempt | undefined;
}

/** As router.proto says: attempts at an answer are 1 to 4. */
export const EMBEDDING_ATTEMPT = 5;
/** Then the request goes on without it. */
const MOST_MS = 2_000;

/** @param targets who may be asked for it, in order; the first that is well is, and no other. Never rejects */
export async function embedQuestion(
  dependencies: FlowDependencies,
  request: Call,
  question: string,
  model: string,
  targets: readonly RoutedTarget[],
  signal: AbortSignal,
): Promise<EmbeddedQuestion> {
  const { clock, holds } = dependencies;
  const nowMs = clock.nowMs();
  const target = targets.find(
    ({ state, gate }) => availability(state.health, nowMs) === "ready" && gate?.hasRoom(state.inFlight) !== false,
  );
  if (target === undefined || signal.aborted) return { end: "no_target", vector: undefined, attempt: undefined };
  const inputBound = Buffer.byteLength(question) + FRAMING_TOKENS;
  const call: Call = { ...request, model, headers: [], inputBound, outputCap: 1, tools: undefined };
  const price = priceFor(target, call, nowMs);
  const asks = mustAsk(call, EMBEDDING_ATTEMPT);
  if (asks) {
    // Vectors are no output tokens.
    const refusal = await permit(holds, call, target, EMBEDDING_ATTEMPT, () => 0, price);
    if (refusal !== undefined) return { end: "refused", vector: undefined, attempt: undefined };
  }
  const deadlineMs = clock.monotonicMs() + MOST_MS;
  const input: EmbedInput = {
    kind: "typed",
    request: { model, inputs: [question], bare: false, encoding: "float" },
  };
  const run = (own: RoutedTarget, limits: CallContext) => embedAt(dependencies, call, input, limits, own);
  const started = launch(dependencies, target, EMBEDDING_ATTEMPT, { signal, deadlineMs }, run, false);
  try {
    const outcome = await started.outcome;
    const durationMs = clock.monotonicMs() - started.startedMs;
    if (!outcome.ok) {
      finishFailed(dependencies, target, outcome.failure.error, durationMs);
      return {
        end: "failed",
        vector: undefined,
        attempt: attemptOf(target, EMBEDDING_ATTEMPT, outcome.failure, durationMs),
      };
    }
    finishServed(dependencies, target, undefined, durationMs);
    const { output, usage = usageOfInput(inputBound, true) } = outcome.value;
    const [found] = output.kind === "typed" ? output.response.embeddings : [];
    const vector = found && unitVector(found);
    const attempt: Attempt = {
      provider: target.provider,
      model: target.model,
      region: target.region,
      origin: target.upstream.origin,
      attempt: EMBEDDING_ATTEMPT,
      status: 200,
      error: undefined,
      usage,
      costNanos: costIn(price, usage),
      billing: "charged",
      durationUs: Math.round(durationMs * 1000),
    };
    return { end: vector === undefined ? "failed" : "made", vector, attempt };
  } catch (error) {
    // Nothing was sent: it makes no embeddings.
    release(target);
    if (asks) await holds.release(held(call, EMBEDDING_ATTEMPT));
    if (!(error instanceof WeirError)) throw error;
    return { end: "failed", vector: undefined, attempt: undefined };
  }
}
