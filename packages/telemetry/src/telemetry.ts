import type { Tracer } from "@opentelemetry/api";
import type { DestinationStream, Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { createLogger, type LogLevel, standardOutput } from "./logger.ts";
import { noTracing, type RecordCall, type StartSpan, startTracing, tracesUrl } from "./tracing.ts";

export interface TelemetryOptions {
  /** In every log line, and `service.name` of traces unless OTEL_SERVICE_NAME says another. */
  readonly service: string;
  readonly level: LogLevel;
  /** Where the OTEL_* settings are read from. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Memory, CPU, event loop and garbage collection of the process. Default true; at most one per process needs them. */
  readonly processMetrics?: boolean;
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

export interface Telemetry extends AsyncDisposable {
  readonly log: Logger;
  readonly metrics: Registry;
  /** Whether traces are exported at all. */
  readonly tracing: boolean;
  /** Resolves when spans are recorded; they are silent before. */
  readonly tracingReady: Promise<void>;
  readonly tracer: Tracer;
  /**
   * Begins a span. Under a microsecond when tracing is off or the trace is not sampled.
   * @param attributes names of gen-ai-attributes.ts; undefined values are left out
   * @param traceparent the header that came with the request; it decides about sampling (unless OTEL_TRACES_SAMPLER says otherwise)
   */
  readonly startSpan: StartSpan;
  /** Writes down a call that ended, inside the span that is active. Next to nothing when tracing is off or the trace is not sampled. */
  readonly recordCall: RecordCall;
  /** In Prometheus's text format. */
  renderMetrics(): Promise<string>;
  /** Of what renderMetrics returns. */
  readonly contentType: string;
}

/** Logs, metrics and traces of one process. Disposing it sends what is left. @throws RangeError for a wrong OTEL_TRACES_SAMPLER */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const output = options.destination ?? standardOutput();
  const log = createLogger(options.service, options.level, output);
  const metrics = new Registry();
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: metrics });
  const url = tracesUrl(options.env);
  const onError = (error: unknown): void => log.error({ err: error }, "traces are not exported");
  const tracing = url === undefined ? noTracing : startTracing(options.service, url, options.env, onError);
  return {
    log,
    metrics,
    tracing: tracing.enabled,
    tracingReady: tracing.ready,
    tracer: tracing.tracer,
    startSpan: tracing.startSpan,
    recordCall: tracing.recordCall,
    renderMetrics: () => metrics.metrics(),
    contentType: metrics.contentType,
    async [Symbol.asyncDispose]() {
      await tracing.close().catch(onError);
      metrics.clear();
      if ("flushSync" in output && typeof output.flushSync === "function") output.flushSync();
    },
  };
}
