/** What the cache leaves behind for operators. */
import { createCounter, createGauge, createHistogram, type Telemetry } from "@weir/telemetry";
import type { CacheEvents } from "./ports.ts";

const SIMILARITIES = [0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1];
const NANOS_PER_DOLLAR = 1e9;

/** @param bytes that this process keeps */
export function cacheEvents({ metrics }: Pick<Telemetry, "metrics">, bytes: () => number): CacheEvents {
  const requests = createCounter(metrics, "weir_cache_requests_total", "Requests to models that keep answers.", [
    "model",
    "outcome",
  ]);
  const dollars = createCounter(metrics, "weir_cache_saved_usd_total", "What answers cost that were given again.", [
    "model",
    "outcome",
  ]);
  const similarity = createHistogram(
    metrics,
    "weir_cache_similarity",
    "Cosine between a question and the nearest that was answered before.",
    ["model", "outcome"],
    SIMILARITIES,
  );
  const evictions = createCounter(metrics, "weir_cache_evictions_total", "Answers that went before their time.", []);
  const embeddings = createCounter(
    metrics,
    "weir_cache_embeddings_total",
    "Vectors of questions, or why there is none.",
    ["end"],
  );
  createGauge(metrics, "weir_cache_bytes", "Answers that this process keeps in memory.", bytes);
  return {
    used(model, use) {
      requests.series(model, use.outcome).add(1);
      if (use.similarity > 0) similarity.series(model, use.outcome).observe(use.similarity);
      if (use.savedNanos > 0n) dollars.series(model, use.outcome).add(Number(use.savedNanos) / NANOS_PER_DOLLAR);
    },
    evicted: (entries) => evictions.series().add(entries),
    embedded: (end) => embeddings.series(end).add(1),
  };
}
