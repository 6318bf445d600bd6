/** What calls leave behind for operators: metrics, a span for each attempt, and a log line for each that failed. Nothing else in this service writes either. */
import {
  type CounterSeries,
  createCounter,
  createGauges,
  createHistogram,
  GEN_AI,
  type HistogramSeries,
  type Telemetry,
} from "@weir/telemetry";
import { healthy } from "./domain/health.ts";
import { UNSEEN } from "./domain/peak-ewma.ts";
import type { Target } from "./domain/target.ts";
import type { TargetGate } from "./domain/target-gate.ts";
import type { RouterEvents } from "./ports.ts";

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

interface Series {
  readonly served: CounterSeries;
  readonly seconds: HistogramSeries;
}

/** @param targets all that there are now */
export function routerEvents(
  telemetry: Pick<Telemetry, "metrics" | "log" | "recordCall">,
  targets: () => Iterable<Target>,
): RouterEvents {
  gateGauges(telemetry, targets);
  return { attempted: attemptEvents(telemetry), ...decisionEvents(telemetry) };
}

function attemptEvents({
  metrics,
  log,
  recordCall,
}: Pick<Telemetry, "metrics" | "log" | "recordCall">): RouterEvents["attempted"] {
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
    if (error.reason === "provider_rejected" || error.reason === "client_closed" || error.reason === "hedge_lost")
      return;
    const { reason, upstreamStatus } = error;
    log.warn({ provider, model, reason, upstreamStatus, durationMs: Math.round(durationMs) }, "an attempt failed");
  };
}

const WAITED_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** As the contract has them. */
const PRIORITIES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

function decisionEvents({ metrics }: Pick<Telemetry, "metrics">): Pick<RouterEvents, "hedged" | "queued" | "breaker"> {
  const hedges = createCounter(metrics, "weir_hedges_total", "Second attempts beside slow ones.", ["model", "event"]);
  const queued = createCounter(metrics, "weir_queue_total", "Calls that waited for room at a target.", [
    "provider",
    "priority",
    "end",
  ]);
  const waited = createHistogram(
    metrics,
    "weir_queue_wait_seconds",
    "How long calls waited for room at a target.",
    ["provider", "priority"],
    WAITED_SECONDS,
  );
  const breakers = createCounter(
    metrics,
    "weir_breaker_changes_total",
    "Breakers of targets that this replica moved.",
    ["provider", "state"],
  );
  return {
    hedged: (model, event) => hedges.series(model, event).add(1),
    queued({ provider }, priority, end, waitedMs) {
      queued.series(provider, String(priority), end).add(1);
      waited.series(provider, String(priority)).observe(waitedMs / 1000);
    },
    breaker: ({ provider }, state) => breakers.series(provider, state).add(1),
  };
}

/** Of targets whose `concurrency` is limited. A model that several names reach at prices of their own is several targets, and one line here. */
function gateGauges({ metrics }: Pick<Telemetry, "metrics">, targets: () => Iterable<Target>): void {
  const names = ["provider", "model", "account"];
  const gauge = (name: string, help: string, more: readonly string[], list: Listing): void =>
    createGauges(metrics, name, help, [...names, ...more], () => {
      const sums = new Map<string, { labels: readonly string[]; value: number }>();
      for (const { provider, model, account, gate, state } of targets()) {
        for (const [label, value] of gate === undefined || !wasCalled(state) ? [] : list(gate)) {
          const labels = [provider, model, String(account), ...label];
          const id = labels.join("\n");
          sums.set(id, { labels, value: (sums.get(id)?.value ?? 0) + value });
        }
      }
      return sums.values();
    });
  gauge("weir_target_limit", "How many calls a target may have at once now.", [], (gate) => [[[], gate.limit]]);
  gauge("weir_queue_length", "Calls that wait for room at a target.", ["priority"], (gate) =>
    PRIORITIES.map((priority): Listed => [[String(priority)], gate.waiting(priority)]).filter(([, value]) => value > 0),
  );
}

/** Makers publish a hundred models, of which a few are asked for. */
const wasCalled = ({ inFlight, health, whole, firstContent }: Target["state"]): boolean =>
  inFlight > 0 || health !== healthy || whole !== UNSEEN || firstContent !== UNSEEN;

type Listed = readonly [labels: readonly string[], value: number];
type Listing = (gate: TargetGate) => readonly Listed[];
