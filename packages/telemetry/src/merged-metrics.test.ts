import { expect, test } from "vitest";
import { createCounter } from "./fast-metrics.ts";
import { mergedMetrics } from "./merged-metrics.ts";
import { createTelemetry } from "./telemetry.ts";

test("metrics of several threads are rendered as one set, series added up", async () => {
  const make = () =>
    createTelemetry({
      service: "x",
      level: "silent",
      env: {},
      processMetrics: false,
      destination: { write: () => undefined },
    });
  await using one = make();
  await using two = make();
  for (const [telemetry, amount] of [
    [one, 2],
    [two, 3],
  ] as const) {
    createCounter(telemetry.metrics, "shared_total", "In both.", ["kind"]).series("a").add(amount);
  }
  createCounter(two.metrics, "own_total", "In one.", []).series().add(1);
  const text = await mergedMetrics(one, () => two.metrics.getMetricsAsJSON()).renderMetrics();
  expect(text).toContain('shared_total{kind="a"} 5');
  expect(text).toContain("own_total 1");
  expect(text.match(/# TYPE shared_total/g)).toHaveLength(1);
});
