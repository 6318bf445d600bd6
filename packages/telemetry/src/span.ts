import { type Span, SpanStatusCode } from "@opentelemetry/api";
import { renderTraceparent, unsampledTraceparent } from "./traceparent.ts";

export type AttributeValue = string | number | boolean | readonly string[];
export type SpanAttributes = Readonly<Record<string, AttributeValue | undefined>>;

/** A piece of a request's time. Ended exactly once. */
export interface TraceSpan {
  /** Whether anything is written down; what is costly to find out for attributes can be left out when not. */
  readonly recording: boolean;
  /** What the next hop gets as its `traceparent` header; "": nothing. */
  readonly traceparent: string;
  set(attributes: SpanAttributes): void;
  /** Marks it failed. `reason`: a stable code; never a text that a user wrote. */
  fail(reason: string): void;
  end(): void;
}

/** Not recorded: tracing is off, or the caller's or our sampler chose so. */
export class SilentSpan implements TraceSpan {
  readonly recording = false;
  #traceparent: string | undefined;

  /** @param traceparent what came in and goes on; undefined: a new unsampled one, made when somebody asks */
  constructor(traceparent: string | undefined) {
    this.#traceparent = traceparent;
  }

  get traceparent(): string {
    this.#traceparent ??= unsampledTraceparent();
    return this.#traceparent;
  }

  set(): void {}

  fail(): void {}

  end(): void {}
}

export class RecordedSpan implements TraceSpan {
  readonly recording = true;
  readonly traceparent: string;
  readonly #span: Span;

  constructor(span: Span) {
    this.#span = span;
    const { traceId, spanId } = span.spanContext();
    this.traceparent = renderTraceparent({ traceId, spanId, sampled: true });
  }

  set(attributes: SpanAttributes): void {
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined) this.#span.setAttribute(name, typeof value === "object" ? [...value] : value);
    }
  }

  fail(reason: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
    this.#span.setAttribute("error.type", reason);
  }

  end(): void {
    this.#span.end();
  }
}
