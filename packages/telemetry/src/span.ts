import { type Span, SpanStatusCode } from "@opentelemetry/api";
import { scrubForeign } from "./scrub.ts";
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
      if (value !== undefined) this.#span.setAttribute(name, scrubbed(name, value));
    }
  }

  fail(reason: string): void {
    const code = scrubForeign(reason);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    this.#span.setAttribute("error.type", code);
  }

  end(): void {
    this.#span.end();
  }
}

/** Made here, of a few letters or random: never what somebody else wrote. */
const OURS = new Set([
  "weir.request.id",
  "weir.workspace",
  "weir.key.id",
  "weir.cache",
  "gen_ai.operation.name",
  "http.request.method",
  "http.route",
]);

const scrubbed = (name: string, value: AttributeValue): string | number | boolean | string[] => {
  if (typeof value === "object") return value.map((item) => (OURS.has(name) ? item : scrubForeign(item)));
  return typeof value === "string" && !OURS.has(name) ? scrubForeign(value) : value;
};
