/** What a finished request leaves behind for operators: metrics and one log line. Nothing else in this service writes either. */
import { createCounter, createHistogram, type Telemetry } from "@weir/telemetry";
import { ATTRIBUTE, type CounterSeries, GEN_AI, type HistogramSeries, type TraceSpan, WEIR } from "@weir/telemetry";
import type { ShadowEnd } from "./flows/shadows.ts";
import type { Trail } from "./flows/trail.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const OVERHEAD_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5];
const NANOS_PER_DOLLAR = 1e9;

interface Series {
  readonly requests: CounterSeries;
  readonly seconds: HistogramSeries;
  readonly overhead: HistogramSeries;
  readonly firstToken: HistogramSeries;
  readonly inputTokens: CounterSeries;
  readonly cachedTokens: CounterSeries;
  readonly outputTokens: CounterSeries;
  readonly dollars: CounterSeries;
}

/** Called once per request of the facade or the gateway service, when all is over. */
export type Finished = (trail: Trail, endedMs: number, span: TraceSpan) => void;

export function createFinished(telemetry: Telemetry): Finished {
  const { metrics, log } = telemetry;
  const labels = ["route", "model", "provider", "status"];
  const requests = createCounter(metrics, "weir_requests_total", "Requests by how they ended.", labels);
  const seconds = createHistogram(
    metrics,
    "weir_request_seconds",
    "From the request's last byte in to its last byte out.",
    labels,
    SECONDS,
  );
  const overhead = createHistogram(
    metrics,
    "weir_overhead_seconds",
    "Weir's own part: total minus the provider's time.",
    labels,
    OVERHEAD_SECONDS,
  );
  const firstToken = createHistogram(
    metrics,
    "weir_first_token_seconds",
    "From the call to the first content event of a stream.",
    labels,
    SECONDS,
  );
  const tokens = createCounter(metrics, "weir_tokens_total", "Tokens by kind.", [...labels, "kind"]);
  const findings = createCounter(metrics, "weir_guardrail_findings_total", "What guardrails found.", [
    "detector",
    "action",
    "place",
  ]);
  const dollars = createCounter(metrics, "weir_cost_usd_total", "What the requests cost.", labels);
  const known = new Map<string, Series>();

  function seriesOf(trail: Trail): Series {
    const provider = trail.result?.served?.provider ?? "";
    const status = String(trail.status);
    const id = `${trail.route}|${trail.model}|${provider}|${status}`;
    let series = known.get(id);
    if (series === undefined) {
      const values = [trail.route, trail.model, provider, status];
      series = {
        requests: requests.series(...values),
        seconds: seconds.series(...values),
        overhead: overhead.series(...values),
        firstToken: firstToken.series(...values),
        inputTokens: tokens.series(...values, "input"),
        cachedTokens: tokens.series(...values, "cached_input"),
        outputTokens: tokens.series(...values, "output"),
        dollars: dollars.series(...values),
      };
      known.set(id, series);
    }
    return series;
  }

  return (trail, endedMs, span) => {
    if (span.recording) describe(span, trail);
    span.end();
    const series = seriesOf(trail);
    const { result, guardrails } = trail;
    for (const { detector, action, place, count } of guardrails?.verdict.findings ?? [])
      findings.series(detector, action, place).add(count);
    const durationMs = endedMs - trail.startedMs;
    series.requests.add(1);
    series.seconds.observe(durationMs / 1000);
    series.overhead.observe(trail.overheadUs / 1e6);
    if (result !== undefined) {
      if (result.firstTokenUs > 0) series.firstToken.observe(result.firstTokenUs / 1e6);
      const { usage } = result;
      if (usage !== undefined) {
        series.inputTokens.add(usage.inputTokens);
        series.cachedTokens.add(usage.cachedInputTokens);
        series.outputTokens.add(usage.outputTokens);
      }
      if (result.costNanos > 0n) series.dollars.add(Number(result.costNanos) / NANOS_PER_DOLLAR);
    }
    const level = trail.status >= 500 ? "warn" : "info";
    if (!log.isLevelEnabled(level)) return;
    log[level](
      {
        requestId: trail.requestId,
        route: trail.route,
        model: trail.model,
        workspace: trail.grant?.key.workspace,
        keyId: trail.grant?.key.id,
        provider: result?.served?.provider,
        providerModel: result?.served?.model,
        attempts: result?.attempts.length,
        outcome: trail.outcome,
        status: trail.status,
        reason: trail.reason,
        guardrails: guardrails?.guard.names,
        durationMs: Math.round(durationMs * 100) / 100,
        overheadMs: trail.overheadUs / 1000,
        inputTokens: result?.usage?.inputTokens,
        outputTokens: result?.usage?.outputTokens,
        estimated: result?.usage?.estimated,
        costNanos: result === undefined ? undefined : Number(result.costNanos),
        stream: trail.stream,
        replayOf: trail.replayOf === "" ? undefined : trail.replayOf,
      },
      "request",
    );
  };
}

/** Told of every request that was chosen to be copied, when its copy is over or was not made. */
export function shadowEnded({ metrics }: Pick<Telemetry, "metrics">): (model: string, end: ShadowEnd) => void {
  const help = "Requests that were chosen to be copied for a shadow, by what became of their copies.";
  const copies = createCounter(metrics, "weir_shadow_copies_total", help, ["model", "end"]);
  return (model, end) => copies.series(model, end).add(1);
}

function describe(span: TraceSpan, trail: Trail): void {
  const { result } = trail;
  const usage = result?.usage;
  span.set({
    [GEN_AI.requestModel]: trail.model,
    [GEN_AI.requestStream]: trail.stream,
    [GEN_AI.responseModel]: result?.served?.model,
    [GEN_AI.providerName]: result?.served?.provider,
    [GEN_AI.usageInputTokens]: usage?.inputTokens,
    [GEN_AI.usageOutputTokens]: usage?.outputTokens,
    [ATTRIBUTE.httpRoute]: trail.route,
    [ATTRIBUTE.httpResponseStatusCode]: trail.status,
    [WEIR.requestId]: trail.requestId,
    [WEIR.workspace]: trail.grant?.key.workspace,
    [WEIR.keyId]: trail.grant?.key.id,
  });
  if (trail.reason !== undefined) span.fail(trail.reason);
}
