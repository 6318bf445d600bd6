import { setTimeout as sleep } from "node:timers/promises";
import {
  type Context,
  context,
  createContextKey,
  ROOT_CONTEXT,
  SpanKind,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { installContextManager } from "./context-manager.ts";
import { isSampled, samplingRule, type SamplingRule } from "./sampling.ts";
import { RecordedSpan, SilentSpan, type SpanAttributes, type TraceSpan } from "./span.ts";
import { parseTraceparent, type TraceParent } from "./traceparent.ts";

export type SpanRole = "server" | "client" | "internal";
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

export type StartSpan = (name: string, attributes: SpanAttributes, traceparent?: string, role?: SpanRole) => TraceSpan;

/**
 * Writes down a call of somebody else that just ended, as a child of the span in which this is called; nothing where that is not sampled.
 * @param failure as in TraceSpan.fail; undefined: it succeeded
 */
export type RecordCall = (name: string, durationMs: number, attributes: SpanAttributes, failure?: string) => void;

export interface Tracing {
  /** Whether an exporter was asked for. */
  readonly enabled: boolean;
  /** Resolves when spans are recorded: what is asked for before is silent. At once where tracing is off. */
  readonly ready: Promise<void>;
  /** OpenTelemetry's own face of the same, for libraries. */
  readonly tracer: Tracer;
  readonly startSpan: StartSpan;
  readonly recordCall: RecordCall;
  close(): Promise<void>;
}

const FLUSH_MS = 2_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** The URL spans go to: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT as it is, else OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces. */
export function tracesUrl(env: Environment): string | undefined {
  if (env["OTEL_SDK_DISABLED"] === "true" || env["OTEL_TRACES_EXPORTER"] === "none") return undefined;
  const own = env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? "";
  if (own !== "") return own;
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "";
  return base === "" ? undefined : `${base.replace(/\/$/, "")}/v1/traces`;
}

/** Goes on with the caller's trace without recording: the header is passed as it came. */
const silent = (traceparent: string | undefined): TraceSpan => new SilentSpan(traceparent ?? "");

export const noTracing: Tracing = {
  enabled: false,
  ready: Promise.resolve(),
  tracer: trace.getTracer("weir-off"),
  startSpan: (_name, _attributes, traceparent) => silent(traceparent),
  recordCall: () => undefined,
  close: () => Promise.resolve(),
};

/** Set in the context of a trace whose sampling was decided by `startSpan`, so that the SDK's sampler does not draw again. */
const DECIDED = createContextKey("weir: sampled");
const SAMPLED_ROOT = ROOT_CONTEXT.setValue(DECIDED, true);

/** Loads OpenTelemetry's SDK in the background: it takes a tenth of a second that a start without tracing should not pay. */
export function startTracing(
  service: string,
  url: string,
  env: Environment,
  onError: (error: unknown) => void,
): Tracing {
  const rule = samplingRule(env);
  let provider: Provider | undefined;
  let tracer: Tracer = noTracing.tracer;
  const ready = loadProvider(service, url, rule, batchSettings(env)).then((loaded) => {
    installContextManager();
    provider = loaded;
    tracer = loaded.getTracer("weir");
  }, onError);
  return {
    enabled: true,
    ready,
    tracer: {
      startSpan: (name, options, context) => tracer.startSpan(name, options, context),
      startActiveSpan: ((...args: Parameters<Tracer["startActiveSpan"]>) =>
        tracer.startActiveSpan(...args)) as Tracer["startActiveSpan"],
    },
    startSpan(name, attributes, traceparent, role = "internal") {
      if (provider === undefined) return silent(traceparent);
      const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
      if (!isSampled(rule, parent, Math.random()))
        return new SilentSpan(parent === undefined ? undefined : traceparent);
      const span = new RecordedSpan(tracer.startSpan(name, { kind: KINDS[role] }, contextOf(parent)));
      span.set(attributes);
      return span;
    },
    recordCall(name, durationMs, attributes, failure) {
      const parent = trace.getSpanContext(context.active());
      if (provider === undefined || parent === undefined || (parent.traceFlags & TraceFlags.SAMPLED) === 0) return;
      const options = { kind: SpanKind.CLIENT, startTime: Date.now() - durationMs };
      const span = new RecordedSpan(tracer.startSpan(name, options, trace.setSpanContext(SAMPLED_ROOT, parent)));
      span.set(attributes);
      if (failure !== undefined) span.fail(failure);
      span.end();
    },
    async close() {
      await ready;
      // The exporter tries an absent collector again and again; a shutdown does not wait for that.
      if (provider !== undefined) await Promise.race([provider.shutdown(), sleep(FLUSH_MS, undefined, { ref: false })]);
    },
  };
}

function contextOf(parent: TraceParent | undefined): Context {
  if (parent === undefined) return SAMPLED_ROOT;
  const { traceId, spanId } = parent;
  return trace.setSpanContext(SAMPLED_ROOT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

interface Provider {
  getTracer(name: string): Tracer;
  shutdown(): Promise<void>;
}

type BatchSettings = Readonly<Record<string, number>>;

/** OTEL_BSP_*, of which the SDK reads none by itself. What is no whole number above zero counts as not set, as OpenTelemetry says. */
function batchSettings(env: Environment): BatchSettings {
  const settings: [string, number][] = [
    ["scheduledDelayMillis", Number(env["OTEL_BSP_SCHEDULE_DELAY"])],
    ["exportTimeoutMillis", Number(env["OTEL_BSP_EXPORT_TIMEOUT"])],
    ["maxQueueSize", Number(env["OTEL_BSP_MAX_QUEUE_SIZE"])],
    ["maxExportBatchSize", Number(env["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"])],
  ];
  return Object.fromEntries(settings.filter(([, value]) => Number.isSafeInteger(value) && value > 0));
}

async function loadProvider(service: string, url: string, rule: SamplingRule, batch: BatchSettings): Promise<Provider> {
  const [sdk, { OTLPTraceExporter }, { defaultResource, detectResources, envDetector, resourceFromAttributes }] =
    await Promise.all([
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/exporter-trace-otlp-proto"),
      import("@opentelemetry/resources"),
    ]);
  const { AlwaysOnSampler, BatchSpanProcessor, SamplingDecision, TraceIdRatioBasedSampler, TracerProvider } = sdk;
  const root = new TraceIdRatioBasedSampler(rule.ratio);
  const always = new AlwaysOnSampler();
  return new TracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": service }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor({ ...batch, exporter: new OTLPTraceExporter({ url }) })],
    sampler: {
      shouldSample(context, traceId) {
        if (context.getValue(DECIDED) === true) return always.shouldSample();
        const parent = trace.getSpanContext(context);
        if (!rule.followParent || parent === undefined) return root.shouldSample(context, traceId);
        const sampled = (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
        return { decision: sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
      },
      toString: () => `weir(${rule.ratio})`,
    },
  });
}
