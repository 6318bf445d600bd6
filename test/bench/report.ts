import type { GuardrailMeasurement } from "./guardrails.ts";
import type { Measurement } from "./main.ts";
import type { PolicyMeasurement } from "./policy.ts";

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

type Row = Readonly<Record<string, string>>;

function table(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const width = columns.map((column) => Math.max(column.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(width[at] ?? 0)).join(" | ")} |`;
  return [
    line(columns),
    line(width.map((size) => "-".repeat(size))),
    ...rows.map((row) => line(columns.map((column) => row[column] ?? ""))),
  ].join("\n");
}

/** Medians over the rounds, as ratios where a ratio says more. */
export function render(measurements: readonly Measurement[], targets: readonly string[]): string {
  const modes = [...new Set(measurements.map(({ mode }) => mode))];
  return modes
    .map((mode) => {
      const of = (target: string, pick: (measurement: Measurement) => number): number =>
        median(
          measurements.filter((measurement) => measurement.mode === mode && measurement.target === target).map(pick),
        );
      const nginxRate = of("nginx", (m) => m.perSecond);
      const portkeyRate = of("portkey", (m) => m.perSecond);
      const nginxCpu = of("nginx", (m) => m.cpuUs);
      const directP50 = of("direct", (m) => m.p50Ms);
      const directP99 = of("direct", (m) => m.p99Ms);
      const ratio = (value: number, base: number): string =>
        Number.isFinite(value / base) ? (value / base).toFixed(2) : "–";
      const measured = targets.filter((target) => measurements.some((m) => m.mode === mode && m.target === target));
      const rows = measured.map((target): Row => {
        const rate = of(target, (m) => m.perSecond);
        return {
          target,
          "requests/s": rate.toFixed(0),
          "÷ nginx": ratio(rate, nginxRate),
          "÷ portkey": ratio(rate, portkeyRate),
          "CPU µs": of(target, (m) => m.cpuUs).toFixed(1),
          "CPU ÷ nginx": ratio(
            of(target, (m) => m.cpuUs),
            nginxCpu,
          ),
          "workers µs": of(target, (m) => m.workersUs).toFixed(1),
          "helpers µs": of(target, (m) => m.helpersUs).toFixed(1),
          "added p50 ms": (of(target, (m) => m.p50Ms) - directP50).toFixed(2),
          "added p99 ms": (of(target, (m) => m.p99Ms) - directP99).toFixed(2),
          "RSS MiB": (of(target, (m) => m.rssBytes) / 2 ** 20).toFixed(0),
          "backlog KiB/s": (of(target, (m) => m.backlogPerSecond) / 1024).toFixed(1),
        };
      });
      // Both against the same upstream, so that what is between them is the budgets.
      const added = of("weir standalone", (m) => m.p99Ms) - of("weir without budgets", (m) => m.p99Ms);
      const budgets = Number.isFinite(added) ? `\nbudgets add ${added.toFixed(2)} ms at p99` : "";
      return `${mode}\n${table(rows)}${budgets}`;
    })
    .join("\n\n");
}

/** Admission and settlement by themselves. */
export const renderPolicy = (measured: PolicyMeasurement): string =>
  `policy alone\n${table([
    {
      "requests/s": measured.perSecond.toFixed(0),
      "CPU µs": measured.cpuUs.toFixed(1),
      "Postgres µs": measured.postgresUs.toFixed(1),
      "requests per commit": measured.requestsPerCommit.toFixed(1),
    },
  ])}`;

export const renderGuardrails = (measured: GuardrailMeasurement): string =>
  `guardrails alone, µs per 2 KB of text\n${table(
    measured.map(({ what, us }) => ({
      detectors: what,
      ...Object.fromEntries(Object.entries(us).map(([text, cost]) => [text, cost.toFixed(1)])),
    })),
  )}`;
