/** What attempts leave behind for operators: metrics, a span each, and a log line for each that failed. Nothing else in this service writes either. */
import {
  type CounterSeries,
  createCounter,
  createHistogram,
  GEN_AI,
  type HistogramSeries,
  type Telemetry,
} from "@weir/telemetry";
import type { Attempted } from "./ports.ts";

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

interface Series {
  readonly served: CounterSeries;
  readonly seconds: HistogramSeries;
}

export function attemptEvents({
  metrics,
  log,
  recordCall,
}: Pick<Telemetry, "metrics" | "log" | "recordCall">): Attempted {
  const attempts = createCounter(metrics, "weir_provider_attempts_total", "Calls of providers by how they ended.", [
    "provider",
    "outcome",
  ]);
  const seconds = createHistogram(
    metrics,
    "weir_provider_seconds",
    "How long calls of providers took.",
    ["provider"],
    SECONDS,
  );
  const known = new Map<string, Series>();
  const seriesOf = (provider: string): Series => {
    let series = known.get(provider);
    if (series === undefined) {
      series = { served: attempts.series(provider, "served"), seconds: seconds.series(provider) };
      known.set(provider, series);
    }
    return series;
  };
  return ({ provider, model }, error, durationMs) => {
    const series = seriesOf(provider);
    series.seconds.observe(durationMs / 1000);
    recordCall(
      `call ${provider}`,
      durationMs,
      { [GEN_AI.providerName]: provider, [GEN_AI.requestModel]: model },
      error?.reason,
    );
    if (error === undefined) {
      series.served.add(1);
      return;
    }
    attempts.series(provider, error.reason).add(1);
    // A rejected request is its client's affair. The message is the provider's, and may quote the request: it stays out.
    if (error.reason === "provider_rejected" || error.reason === "client_closed") return;
    const { reason, upstreamStatus } = error;
    log.warn({ provider, model, reason, upstreamStatus, durationMs: Math.round(durationMs) }, "an attempt failed");
  };
}
