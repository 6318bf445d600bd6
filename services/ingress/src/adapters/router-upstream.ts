import type { Client } from "@connectrpc/connect";
import type { common, router } from "@weir/contracts";
import type { Usage } from "@weir/dialects";
import { WeirError } from "@weir/kernel";
import { fromConnectError } from "@weir/mesh";
import { costOf } from "@weir/pricing";
import type { Answer, Attempt, Call, CallResult, Output, Served, StreamMessage, StreamRates } from "../domain/call.ts";
import type { CallOptions, Upstream } from "../ports.ts";
import type { TypedInput, TypedOutput } from "../wire.ts";
import { finishReasonOf, reasonOf, wireDialect } from "./wire-names.ts";

type RouterClient = Client<typeof router.RouterService>;

const BILLING = ["unknown", "charged", "nothing", "unknown"] as const;

const servedOf = (served: router.Served | undefined): Served | undefined => served;

/** The contract's Usage has the domain's own fields. */
const usageOf = (usage: common.Usage | undefined): Usage | undefined => usage;

const headersOf = (headers: readonly common.Header[]): [string, string][] =>
  headers.map(({ name, value }) => [name, value]);

function errorOf(detail: common.ErrorDetail | undefined): WeirError | undefined {
  if (detail === undefined) return undefined;
  return new WeirError(reasonOf(detail.reason), detail.message, {
    retryAfterMs: detail.retryAfterMs || undefined,
    upstreamStatus: detail.upstreamStatus || undefined,
    param: detail.param || undefined,
  });
}

function attemptOf(attempt: router.Attempt): Attempt {
  return {
    attempt: attempt.attempt,
    provider: attempt.provider,
    model: attempt.model,
    region: attempt.region,
    status: attempt.status,
    error: attempt.error === 0 ? undefined : reasonOf(attempt.error),
    usage: usageOf(attempt.usage),
    costNanos: attempt.costNanos,
    billing: BILLING[attempt.billing] ?? "unknown",
    durationUs: attempt.durationUs,
  };
}

function resultOf(result: router.Result | undefined): CallResult {
  if (result === undefined) throw new WeirError("internal", "The router told no result.");
  return {
    served: servedOf(result.served),
    usage: usageOf(result.usage),
    finishReason: finishReasonOf(result.finishReason),
    attempts: result.attempts.map(attemptOf),
    error: errorOf(result.error),
    dropped: result.dropped,
    headers: headersOf(result.headers),
    providerUs: result.providerUs,
    firstTokenUs: result.firstTokenUs,
    costNanos: result.costNanos,
    priceVersion: result.priceVersion,
  };
}

const rawOf = (answer: router.RawAnswer): Output<never> => ({
  kind: "raw",
  status: answer.status,
  contentType: answer.contentType,
  body: answer.body,
});

function outputOf<T>(
  output: { case: "raw"; value: router.RawAnswer } | { case: string; value: T } | { case: undefined },
): Output<T> {
  if (output.case === undefined) return { kind: "none" };
  if (output.case === "raw") return rawOf((output as { value: router.RawAnswer }).value);
  return { kind: "typed", value: (output as { value: T }).value };
}

function ratesOf(start: router.StreamStart): StreamRates | undefined {
  const { price } = start;
  return price === undefined
    ? undefined
    : { inputTokens: start.inputTokensEstimate, costOf: (usage) => costOf(usage, price) };
}

function wireCall(call: Call<TypedInput>, owner: string) {
  const { input } = call;
  return {
    requestId: call.requestId,
    model: call.model,
    input:
      "typed" in input
        ? input.typed
        : { case: "raw" as const, value: { dialect: wireDialect(input.dialect), body: input.body } },
    headers: call.headers.map(([name, value]) => ({ name, value })),
    allowedProviders: [...call.allowedProviders],
    allowedRegions: [...call.allowedRegions],
    outputCap: call.outputCap,
    holdOwner: call.held ? owner : "",
    holdKeyId: call.keyId,
    inputBound: call.inputBound,
  };
}

const optionsOf = ({ signal, timeoutMs, traceparent }: CallOptions) =>
  traceparent === undefined ? { signal, timeoutMs } : { signal, timeoutMs, headers: { traceparent } };

/** An outage of the router is told as such; what the router itself says is passed on. */
function failureOf(failure: unknown): WeirError {
  const error = fromConnectError(failure);
  if (error.reason !== "internal") return error;
  return new WeirError("router_unavailable", "The router did not answer.", { retryAfterMs: 1_000, cause: failure });
}

/** @param owner the holder of this process's holds: further attempts are held under it */
export function routerUpstream(
  client: RouterClient,
  owner: string,
): Upstream<TypedInput, TypedOutput, common.ChatEvent> {
  return {
    async complete(call, options): Promise<Answer<TypedOutput>> {
      try {
        const response = await client.complete({ call: wireCall(call, owner) }, optionsOf(options));
        return { result: resultOf(response.result), output: outputOf<TypedOutput>(response.output) };
      } catch (failure) {
        throw failureOf(failure);
      }
    },
    async embed(call, options): Promise<Answer<TypedOutput>> {
      try {
        const response = await client.embed({ call: wireCall(call, owner) }, optionsOf(options));
        return { result: resultOf(response.result), output: outputOf<TypedOutput>(response.output) };
      } catch (failure) {
        throw failureOf(failure);
      }
    },
    async *stream(call, options): AsyncGenerator<StreamMessage<common.ChatEvent>> {
      try {
        for await (const response of client.streamComplete({ call: wireCall(call, owner) }, optionsOf(options))) {
          const { message, outputBytes } = response;
          switch (message.case) {
            case "start": {
              const start = message.value;
              const served = servedOf(start.served);
              if (served === undefined) throw new WeirError("internal", "The router did not tell who serves.");
              yield {
                kind: "start",
                served,
                dropped: start.dropped,
                headers: headersOf(start.headers),
                rates: ratesOf(start),
                failedAttempts: start.failedAttempts.map(attemptOf),
              };
              break;
            }
            case "frame":
              yield { kind: "frame", bytes: message.value, outputBytes };
              break;
            case "event":
              yield { kind: "event", event: message.value, outputBytes };
              break;
            case "end": {
              const { result, terminal, failure } = message.value;
              yield {
                kind: "end",
                result: resultOf(result),
                terminal,
                failure: failure === undefined ? { kind: "none" } : rawOf(failure),
              };
              break;
            }
            case undefined:
              break;
          }
        }
      } catch (failure) {
        throw failureOf(failure);
      }
    },
  };
}
