import { type Client, ConnectError } from "@connectrpc/connect";
import type { common, router } from "@weir/contracts";
import type { Usage } from "@weir/dialects";
import { HttpClientError } from "@weir/http1";
import { type Reason, WeirError } from "@weir/kernel";
import { fromConnectError } from "@weir/mesh";
import { costOf } from "@weir/pricing";
import {
  type Answer,
  type Attempt,
  type Call,
  type CallResult,
  type Output,
  type Served,
  type StreamMessage,
  type StreamRates,
  UpstreamError,
} from "../domain/call.ts";
import type { CallOptions, InputCounter, Upstream } from "../ports.ts";
import type { TypedInput, TypedOutput } from "../wire.ts";
import { cacheUseOf } from "./wire-cache.ts";
import { finishReasonOf, reasonOf, wireDialect } from "./wire-names.ts";
import { wireCache } from "./wire-rules.ts";

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
    origin: attempt.origin,
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
    ...(result.cache === undefined ? {} : { cache: cacheUseOf(result.cache) }),
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
    : {
        inputTokens: start.inputTokensEstimate,
        priceVersion: price.version,
        costOf: (usage) => costOf(usage, price),
      };
}

// Plain objects with their type's name are messages: create() would cost more than the whole call in process.
function wireCall(call: Call<TypedInput>, owner: string): router.Call {
  const { input } = call;
  const message: router.Call = {
    $typeName: "weir.router.v1.Call",
    requestId: call.requestId,
    model: call.model,
    input:
      "typed" in input
        ? input.typed
        : {
            case: "raw" as const,
            value: { $typeName: "weir.router.v1.RawBody", dialect: wireDialect(input.dialect), body: input.body },
          },
    headers: call.headers.map(([name, value]) => ({ $typeName: "weir.common.v1.Header", name, value })),
    allowedProviders: [...call.rules.allowedProviders],
    allowedRegions: [...call.rules.allowedRegions],
    deniedProviders: [...call.rules.deniedProviders],
    deniedRegions: [...call.rules.deniedRegions],
    cache: wireCache(call.rules.cache),
    conversation: call.conversation,
    priority: call.priority,
    tags: call.tags,
    outputCap: call.outputCap,
    statedCaps: [...call.statedCaps],
    providerLimits: call.providerLimits !== "none",
    providerLimitsFailClosed: call.providerLimits === "fail-closed",
    holdOwner: call.held ? owner : "",
    holdKeyId: call.keyId,
    inputBound: call.inputBound,
    toolCallCap: call.toolCallCap,
    workspace: call.workspace,
    atMs: BigInt(call.atMs),
  };
  if (call.tools !== undefined) message.tools = { $typeName: "weir.common.v1.ToolBound", ...call.tools };
  return message;
}

const optionsOf = ({ signal, timeoutMs, traceparent }: CallOptions) =>
  traceparent === undefined ? { signal, timeoutMs } : { signal, timeoutMs, headers: { traceparent } };

/** The router says so before it calls anybody. */
const UNTRIED: ReadonlySet<Reason> = new Set([
  "model_not_found",
  "model_not_allowed",
  "invalid_request",
  "unsupported",
]);

/**
 * An outage of the router is told as such; what the router itself says is passed on. A connection that breaks says nothing about what the router
 * had done by then: only where the request never left has nothing been called.
 */
function failureOf(failure: unknown): UpstreamError {
  const error = fromConnectError(failure, "router_unavailable");
  const { cause } = failure instanceof ConnectError ? failure : { cause: undefined };
  const unsent = cause instanceof HttpClientError && !cause.sent;
  // `invalid_key` is about the mesh's token here, not about the caller's key.
  const outage = error.reason === "internal" || error.reason === "invalid_key";
  const told = outage
    ? new WeirError("router_unavailable", "The router did not answer.", { retryAfterMs: 1_000, cause: failure })
    : error;
  return new UpstreamError(told, !unsent && error.reason !== "invalid_key" && !UNTRIED.has(error.reason));
}

/** @param owner the holder of this process's holds: further attempts are held under it */
export function routerUpstream(
  client: RouterClient,
  owner: string,
): Upstream<TypedInput, TypedOutput, common.ChatEvent> & InputCounter<TypedInput> {
  return {
    async complete(call, options): Promise<Answer<TypedOutput>> {
      try {
        const response = await client.complete(
          { $typeName: "weir.router.v1.CompleteRequest", call: wireCall(call, owner) },
          optionsOf(options),
        );
        return { result: resultOf(response.result), output: outputOf<TypedOutput>(response.output) };
      } catch (failure) {
        throw failureOf(failure);
      }
    },
    async embed(call, options): Promise<Answer<TypedOutput>> {
      try {
        const response = await client.embed(
          { $typeName: "weir.router.v1.EmbedRequest", call: wireCall(call, owner) },
          optionsOf(options),
        );
        return { result: resultOf(response.result), output: outputOf<TypedOutput>(response.output) };
      } catch (failure) {
        throw failureOf(failure);
      }
    },
    async countInput(call, options) {
      try {
        const message = wireCall(call, owner);
        const { inputs } = await client.countInput(
          { $typeName: "weir.router.v1.CountInputRequest", call: message },
          optionsOf(options),
        );
        return inputs;
      } catch (failure) {
        throw failureOf(failure);
      }
    },
    async cancel(requestId, timeoutMs) {
      const { found } = await client.cancel({ $typeName: "weir.router.v1.CancelRequest", requestId }, { timeoutMs });
      return found;
    },
    async *stream(call, options): AsyncGenerator<StreamMessage<common.ChatEvent>> {
      try {
        for await (const response of client.streamComplete(
          { $typeName: "weir.router.v1.StreamCompleteRequest", call: wireCall(call, owner) },
          optionsOf(options),
        )) {
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
                ...(start.cache === undefined ? {} : { cache: cacheUseOf(start.cache) }),
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
