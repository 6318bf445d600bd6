export {
  createCounter,
  createGauge,
  createGauges,
  createHistogram,
  type CounterSeries,
  type HistogramSeries,
} from "./fast-metrics.ts";
export { ATTRIBUTE, GEN_AI, GEN_AI_METRIC, GEN_AI_OPERATION, WEIR } from "./gen-ai-attributes.ts";
export { type LogLevel, standardOutput } from "./logger.ts";
export { mergedMetrics } from "./merged-metrics.ts";
export { scrubText } from "./scrub.ts";
export type { AttributeValue, SpanAttributes, TraceSpan } from "./span.ts";
export { createTelemetry, type Telemetry, type TelemetryOptions } from "./telemetry.ts";
export { parseTraceparent, renderTraceparent, type TraceParent } from "./traceparent.ts";
export type { SpanRole } from "./tracing.ts";
