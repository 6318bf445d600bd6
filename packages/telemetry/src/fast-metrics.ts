import type { Metric, Registry } from "prom-client";

/**
 * Counters and histograms for the request's path. prom-client hashes the labels at every step (1 to 2 µs); here a series is looked up
 * once and then held, and prom-client reads the sums when somebody scrapes.
 */
export interface CounterSeries {
  add(amount: number): void;
}

export interface HistogramSeries {
  observe(value: number): void;
}

export interface Family<Series> {
  /** The series of these label values, in the order of the label names. Keep it. */
  series(...values: string[]): Series;
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

const SEPARATOR = "\u0000";

class SeriesMap<Series> {
  readonly entries = new Map<string, { labels: Record<string, string>; series: Series }>();
  readonly #names: readonly string[];
  readonly #make: () => Series;

  constructor(names: readonly string[], make: () => Series) {
    this.#names = names;
    this.#make = make;
  }

  get(values: readonly string[]): Series {
    const id = values.join(SEPARATOR);
    let entry = this.entries.get(id);
    if (entry === undefined) {
      entry = {
        labels: Object.fromEntries(this.#names.map((name, at) => [name, values[at] ?? ""])),
        series: this.#make(),
      };
      this.entries.set(id, entry);
    }
    return entry.series;
  }
}

function register(registry: Registry, name: string, help: string, type: string, values: () => Sample[]): void {
  const metric = {
    name,
    help,
    aggregator: "sum",
    get: () => Promise.resolve({ name, help, type, values: values(), aggregator: "sum" }),
    reset: () => undefined,
  };
  // The registry asks a metric for no more than this.
  registry.registerMetric(metric as unknown as Metric);
}

class Counter implements CounterSeries {
  total = 0;
  add(amount: number): void {
    this.total += amount;
  }
}

export function createCounter(
  registry: Registry,
  name: string,
  help: string,
  labels: readonly string[],
): Family<CounterSeries> {
  const map = new SeriesMap(labels, () => new Counter());
  register(registry, name, help, "counter", () =>
    [...map.entries.values()].map((entry) => ({ labels: entry.labels, value: entry.series.total })),
  );
  return { series: (...values) => map.get(values) };
}

class Histogram implements HistogramSeries {
  readonly counts: Float64Array;
  readonly #bounds: readonly number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? Infinity)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.sum += value;
  }
}

/** @param bounds upper bounds of the buckets, ascending; +Inf is added */
export function createHistogram(
  registry: Registry,
  name: string,
  help: string,
  labels: readonly string[],
  bounds: readonly number[],
): Family<HistogramSeries> {
  const map = new SeriesMap(labels, () => new Histogram(bounds));
  register(registry, name, help, "histogram", () =>
    [...map.entries.values()].flatMap((entry) => {
      let cumulative = 0;
      const samples: Sample[] = [...bounds, Number.POSITIVE_INFINITY].map((bound, at) => {
        cumulative += entry.series.counts[at] ?? 0;
        const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : bound;
        return { labels: { le, ...entry.labels }, value: cumulative, metricName: `${name}_bucket` };
      });
      samples.push({ labels: entry.labels, value: entry.series.sum, metricName: `${name}_sum` });
      samples.push({ labels: entry.labels, value: cumulative, metricName: `${name}_count` });
      return samples;
    }),
  );
  return { series: (...values) => map.get(values) };
}

/** A gauge that is read when somebody scrapes. */
export function createGauge(registry: Registry, name: string, help: string, read: () => number): void {
  createGauges(registry, name, help, [], () => [{ labels: [], value: read() }]);
}

/** A gauge of several series, which are listed when somebody scrapes: those that are not listed any more are gone. */
export function createGauges(
  registry: Registry,
  name: string,
  help: string,
  labels: readonly string[],
  list: () => Iterable<{ readonly labels: readonly string[]; readonly value: number }>,
): void {
  register(registry, name, help, "gauge", () =>
    Array.from(list(), (one) => ({
      labels: Object.fromEntries(labels.map((label, at) => [label, one.labels[at] ?? ""])),
      value: one.value,
    })),
  );
}
