import type { HandlerContext } from "@connectrpc/connect";
import { toBinary } from "@bufbuild/protobuf";
import { common } from "@weir/contracts";
import type { JsonObject } from "@weir/dialects";
import { type Clock, WeirError } from "@weir/kernel";
import { peerAddressOf } from "@weir/mesh";
import { checkedTags, type IpRange } from "@weir/rules";
import { clientIpOf as clientIpBehind } from "../domain/client-ip.ts";
import type { FacadeDialect, RequestShape } from "../domain/shape.ts";
import { type TypedExtra, typedChatShape, typedEmbedShape } from "../domain/typed-shape.ts";
import type { Telemetry, TraceSpan } from "@weir/telemetry";
import type { Finished } from "../events.ts";
import type { Complete } from "../flows/complete.ts";
import type { InFlight } from "../flows/in-flight.ts";
import type { Identify } from "../flows/identify.ts";
import type { Stream } from "../flows/stream.ts";
import { type Incoming, newTrail, type Trail } from "../flows/trail.ts";
import { CONVERSATION, conversationOf } from "../domain/conversation.ts";
import { checkedIdempotencyKey, IDEMPOTENCY_KEY } from "../domain/idempotency-key.ts";
import { checkedRunId, RUN_ID } from "../domain/run-id.ts";
import { waitingOf } from "../domain/waiting.ts";
import type { Models } from "../ports.ts";
import { protobufType, type TypedEvent, type TypedInput, type TypedOutput, usageMessage } from "../wire.ts";

export interface RpcFlows {
  readonly identify: Identify;
  /** Whose `x-forwarded-for` counts. */
  readonly trustedProxies: readonly IpRange[];
  readonly complete: Complete<TypedInput, TypedOutput>;
  readonly embed: Complete<TypedInput, TypedOutput>;
  readonly stream: Stream<TypedInput, TypedEvent>;
  readonly models: Models;
  readonly finished: Finished;
  readonly inFlight: InFlight;
  readonly startSpan: Telemetry["startSpan"];
  readonly newRequestId: (nowMs: number) => string;
  readonly clock: Clock;
}

const RPC_SPAN = { "rpc.system": "connect_rpc" };

const BEARER = /^Bearer +(\S+) *$/i;

export const secretOf = (context: HandlerContext): string | undefined =>
  BEARER.exec(context.requestHeader.get("authorization") ?? "")?.[1] ??
  context.requestHeader.get("x-api-key") ??
  undefined;

const routeOf = (context: HandlerContext): string => `${context.service.typeName}/${context.method.name}`;

/** A caller may say for whom it calls where it is a proxy that the operator trusts. */
export const clientIpOf = ({ trustedProxies }: RpcFlows, context: HandlerContext): string =>
  clientIpBehind(
    peerAddressOf(context),
    () => context.requestHeader.get("x-forwarded-for") ?? undefined,
    trustedProxies,
  );

const EXTRA_DIALECTS: Partial<Record<common.Dialect, FacadeDialect>> = {
  [common.Dialect.OPENAI_CHAT]: "openai-chat",
  [common.Dialect.OPENAI_RESPONSES]: "openai-responses",
  [common.Dialect.ANTHROPIC_MESSAGES]: "anthropic-messages",
  [common.Dialect.GEMINI_GENERATE]: "gemini-generate",
};

/** @throws WeirError invalid_request */
function extraOf({ extraJson, extraDialect }: common.ChatRequest): TypedExtra | undefined {
  if (extraJson === "") return undefined;
  const dialect = EXTRA_DIALECTS[extraDialect];
  if (dialect === undefined)
    throw new WeirError("invalid_request", "Say whose fields extra_json has.", { param: "extra_dialect" });
  let fields: unknown;
  try {
    fields = JSON.parse(extraJson);
  } catch (cause) {
    throw new WeirError("invalid_request", "extra_json is not valid JSON.", { param: "extra_json", cause });
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields))
    throw new WeirError("invalid_request", "extra_json must be a JSON object.", { param: "extra_json" });
  return { dialect, fields: fields as JsonObject };
}

export interface Received {
  /** Ends the call: its caller left, or its key was revoked with what it runs. */
  readonly gone: AbortController;
  readonly incoming: Incoming<TypedInput>;
  readonly trail: Trail;
  readonly span: TraceSpan;
}

/** Runs what decides whether a call is let in; operators are told of those that are not. @throws WeirError */
export function letIn<T>(flows: RpcFlows, context: HandlerContext, run: (trail: Trail) => T): T {
  const route = routeOf(context);
  const trail = newTrail(flows.newRequestId(flows.clock.nowMs()), route, flows.clock.monotonicMs());
  try {
    return run(trail);
  } catch (error) {
    failed(trail, error);
    const traceparent = context.requestHeader.get("traceparent") ?? undefined;
    flows.finished(trail, flows.clock.monotonicMs(), flows.startSpan(route, RPC_SPAN, traceparent, "server"));
    throw error;
  }
}

function failed(trail: Trail, error: unknown): void {
  trail.status = error instanceof WeirError ? error.status : 500;
  trail.reason = error instanceof WeirError ? error.reason : "internal";
}

/** @throws WeirError; whoever is not known stops here */
export const receive = (
  flows: RpcFlows,
  context: HandlerContext,
  input: TypedInput,
  stream: boolean,
  tags: Readonly<Record<string, string>>,
): Received => letIn(flows, context, (trail) => received(flows, context, input, stream, tags, trail));

function received(
  flows: RpcFlows,
  context: HandlerContext,
  input: TypedInput,
  stream: boolean,
  tags: Readonly<Record<string, string>>,
  trail: Trail,
): Received {
  const { route, requestId } = trail;
  const clientIp = clientIpOf(flows, context);
  const grant = flows.identify(secretOf(context), clientIp, route);
  trail.grant = grant;
  const bytes = encoded(input);
  const shape: RequestShape =
    input.case === "chat"
      ? typedChatShape(input.value, bytes.length, stream, extraOf(input.value))
      : typedEmbedShape(input.value, bytes.length);
  if (shape.model === "") throw new WeirError("invalid_request", "The request names no model.", { param: "model" });
  const runId = checkedRunId(context.requestHeader.get(RUN_ID) ?? "");
  const checked = {
    tags: checkedTags(Object.entries(tags), "tags"),
    conversation: conversationOf(context.requestHeader.get(CONVERSATION) ?? "", runId),
    waiting: waitingOf((name) => context.requestHeader.get(name)),
    idempotencyKey: checkedIdempotencyKey(context.requestHeader.get(IDEMPOTENCY_KEY)),
  };
  const span = flows.startSpan(route, RPC_SPAN, context.requestHeader.get("traceparent") ?? undefined, "server");
  const incoming: Incoming<TypedInput> = {
    requestId,
    route,
    dialect: undefined,
    grant,
    shape,
    input: { typed: input },
    inputBytes: bytes,
    encode: encoded,
    inputType: protobufType(input.value.$typeName),
    clientIp,
    clientRequestId: (context.requestHeader.get("x-request-id") ?? "").slice(0, 128),
    traceparent: span.traceparent === "" ? undefined : span.traceparent,
    runId,
    ...checked,
    headers: [],
  };
  const gone = new AbortController();
  if (context.signal.aborted) gone.abort();
  else context.signal.addEventListener("abort", () => gone.abort(), { once: true });
  return { incoming, trail, span, gone };
}

/** What was done, for the caller. */
export function receiptOf(trail: Trail) {
  const { result } = trail;
  const usage = usageMessage(result?.usage);
  return {
    requestId: trail.requestId,
    provider: result?.served?.provider ?? "",
    model: result?.served?.model ?? "",
    attempts: result?.attempts.length ?? 0,
    ...(usage === undefined ? {} : { usage }),
    costNanos: result?.costNanos ?? 0n,
    dropped: [...(result?.dropped ?? [])],
    replayOf: trail.replayOf,
  };
}

/** Runs a call and tells operators about it, however it ended. */
export async function told<T>(flows: RpcFlows, { trail, span, gone }: Received, run: () => Promise<T>): Promise<T> {
  flows.inFlight.begin(trail, gone);
  try {
    return await run();
  } catch (error) {
    failed(trail, error);
    throw error;
  } finally {
    flows.inFlight.end(trail);
    flows.finished(trail, flows.clock.monotonicMs(), span);
  }
}

const encoded = (input: TypedInput): Uint8Array =>
  input.case === "chat"
    ? toBinary(common.ChatRequestSchema, input.value)
    : toBinary(common.EmbedRequestSchema, input.value);
