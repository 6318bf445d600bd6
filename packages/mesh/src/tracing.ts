import {
  type Context,
  context,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";

/** W3C Trace Context, version 00. The decision to sample is made once, at the edge: a call without a sampled parent is not traced. */

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Of the span in which a call is made; undefined if that is not sampled. */
export function outgoingTraceparent(): string | undefined {
  const parent = trace.getSpanContext(context.active());
  if (parent === undefined || (parent.traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  return `00-${parent.traceId}-${parent.spanId}-01`;
}

export interface TracedCall {
  /** In which the implementation runs. */
  readonly context: Context;
  readonly span: Span;
}

export function startServerSpan(
  tracer: Tracer,
  method: DescMethod,
  traceparent: string | null,
): TracedCall | undefined {
  const match = traceparent === null ? null : TRACEPARENT.exec(traceparent);
  if (match === null) return undefined;
  const [, traceId = "", spanId = "", flags = "00"] = match;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  if (traceFlags === 0) return undefined;
  const parent = trace.setSpanContext(context.active(), { traceId, spanId, traceFlags, isRemote: true });
  const name = `${method.parent.typeName}/${method.name}`;
  const attributes = {
    "rpc.system": "connect_rpc",
    "rpc.service": method.parent.typeName,
    "rpc.method": method.name,
  };
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  return { span, context: trace.setSpan(parent, span) };
}

export function endSpan(span: Span, error: ConnectError | undefined): void {
  if (error !== undefined) {
    span.setAttribute("rpc.connect_rpc.error_code", Code[error.code] ?? "Unknown");
    // Without its message: that is for the caller, and may quote what the caller said.
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
