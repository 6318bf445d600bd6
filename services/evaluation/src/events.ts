/** What the service tells operators: metrics and log lines. Nothing else in this service writes either. */
import { createCounter, createGauge, createGauges, type Telemetry } from "@weir/telemetry";
import type { DeadLetter } from "./domain/dead-letter.ts";
import type { SampledRequest } from "./domain/result.ts";
import type { FoundDrift } from "./flows/drift.ts";
import type { EvaluateDependencies } from "./flows/evaluate.ts";

type FlowEvents = EvaluateDependencies["events"];

export interface EvaluationEvents extends FlowEvents {
  readonly buried: (letter: DeadLetter, error: unknown) => void;
  /** Why the store cannot be used right now. */
  readonly away: string | undefined;
  readonly back: () => void;
  readonly gone: (error: unknown) => void;
  /** The store refuses us; only an operator can help. */
  readonly failed: (error: unknown) => void;
  /** A sampled answer could not be judged, however often it was tried. */
  readonly gaveUp: (request: SampledRequest, error: unknown) => void;
  /** What a look for drift found: all of it. */
  readonly looked: (found: readonly FoundDrift[]) => void;
  /** Work in the background failed; it goes on. */
  readonly stumbled: (error: unknown) => void;
}

const driftName = ({ workspaceId, model, signal, by }: FoundDrift): string =>
  JSON.stringify([workspaceId, model, signal, by]);

const AWAY = "the database of evaluation results is away";

export function evaluationEvents({ log, metrics }: Pick<Telemetry, "log" | "metrics">): EvaluationEvents {
  const results = createCounter(metrics, "weir_evaluation_results_total", "Results evaluators gave.", []).series();
  const letters = createCounter(
    metrics,
    "weir_evaluation_dead_letters_total",
    "Records that no evaluator could be given.",
    [],
  ).series();
  const unjudgedSamples = createCounter(
    metrics,
    "weir_evaluation_samples_given_up_total",
    "Sampled answers that could not be judged.",
    [],
  ).series();
  let drifted: readonly FoundDrift[] = [];
  createGauges(
    metrics,
    "weir_evaluation_drift",
    "1 for each signal that the last look for drift raised an alarm about.",
    ["workspace", "model", "signal", "by"],
    () => drifted.map(({ workspaceId, model, signal, by }) => ({ labels: [workspaceId, model, signal, by], value: 1 })),
  );
  let away: string | undefined = "the database of evaluation results is being prepared";
  createGauge(metrics, "weir_evaluation_store_up", "1 while the database takes results.", () =>
    away === undefined ? 1 : 0,
  );
  // One line when it goes and one when it is back, not one per try.
  const gone = (error: unknown): void => {
    if (away !== AWAY) log.warn({ err: error }, AWAY);
    away = AWAY;
  };
  const back = (): void => {
    if (away !== undefined) log.info("evaluation takes records");
    away = undefined;
  };
  return {
    get away() {
      return away;
    },
    back,
    gone,
    storeAway: (error) => gone(error.cause),
    saved(count) {
      back();
      results.add(count);
    },
    buried({ id, producer, reason }, error) {
      letters.add(1);
      log.error({ err: error, letter: id, producer, reason }, "a record became a dead letter");
    },
    gaveUp({ requestId, workspaceId }, error) {
      unjudgedSamples.add(1);
      log.warn({ err: error, requestId, workspaceId }, "a sampled answer could not be judged");
    },
    looked(found) {
      const before = new Set(drifted.map(driftName));
      drifted = found.filter((one) => one.drifted);
      // A line when it begins, not one per look.
      for (const drift of drifted)
        if (!before.has(driftName(drift))) log.warn({ ...drift }, "a model answers otherwise than it did");
    },
    stumbled: (error) => log.error({ err: error }, "evaluation stumbled; it goes on"),
    failed(error) {
      away = "evaluation cannot use its database";
      log.error({ err: error }, away);
    },
  };
}
