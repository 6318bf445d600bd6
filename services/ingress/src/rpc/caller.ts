import type { HandlerContext } from "@connectrpc/connect";
import { toBinary } from "@bufbuild/protobuf";
import { common } from "@weir/contracts";
import { type Clock, WeirError } from "@weir/kernel";
import type { RequestShape } from "../domain/shape.ts";
import { typedChatShape, typedEmbedShape } from "../domain/typed-shape.ts";
import type { Telemetry, TraceSpan } from "@weir/telemetry";
import type { Finished } from "../events.ts";
import type { Complete } from "../flows/complete.ts";
import type { InFlight } from "../flows/in-flight.ts";
import type { Identify } from "../flows/identify.ts";
import type { Stream } from "../flows/stream.ts";
import { type Incoming, newTrail, type Trail } from "../flows/trail.ts";
import type { Models } from "../ports.ts";
import { protobufType, type TypedEvent, type TypedInput, type TypedOutput, usageMessage } from "../wire.ts";

export interface RpcFlows {
  readonly identify: Identify;
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

export interface Received {
  readonly incoming: Incoming<TypedInput>;
  readonly trail: Trail;
  readonly span: TraceSpan;
}

/** @throws WeirError; whoever is not known stops here */
export function receive(
  flows: RpcFlows,
  context: HandlerContext,
  input: TypedInput,
  stream: boolean,
  tags: Readonly<Record<string, string>>,
): Received {
  const route = `${context.service.typeName}/${context.method.name}`;
  const requestId = flows.newRequestId(flows.clock.nowMs());
  const trail = newTrail(requestId, route, flows.clock.monotonicMs());
  const grant = flows.identify(secretOf(context));
  trail.grant = grant;
  const bytes =
    input.case === "chat"
      ? toBinary(common.ChatRequestSchema, input.value)
      : toBinary(common.EmbedRequestSchema, input.value);
  const shape: RequestShape =
    input.case === "chat"
      ? typedChatShape(input.value, bytes.length, stream)
      : typedEmbedShape(input.value, bytes.length);
  if (shape.model === "") throw new WeirError("invalid_request", "The request names no model.", { param: "model" });
  const span = flows.startSpan(route, RPC_SPAN, context.requestHeader.get("traceparent") ?? undefined, "server");
  const incoming: Incoming<TypedInput> = {
    requestId,
    route,
    dialect: undefined,
    grant,
    shape,
    input: { typed: input },
    inputBytes: bytes,
    inputType: protobufType(input.value.$typeName),
    clientIp: "",
    clientRequestId: (context.requestHeader.get("x-request-id") ?? "").slice(0, 128),
    traceparent: span.traceparent === "" ? undefined : span.traceparent,
    tags,
    headers: [],
  };
  return { incoming, trail, span };
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
  };
}

/** Runs a call and tells operators about it, however it ended. */
export async function told<T>(flows: RpcFlows, { trail, span }: Received, run: () => Promise<T>): Promise<T> {
  flows.inFlight.begin();
  try {
    return await run();
  } catch (error) {
    trail.status = error instanceof WeirError ? error.status : 500;
    trail.reason = error instanceof WeirError ? error.reason : "internal";
    throw error;
  } finally {
    flows.inFlight.end();
    flows.finished(trail, flows.clock.monotonicMs(), span);
  }
}
