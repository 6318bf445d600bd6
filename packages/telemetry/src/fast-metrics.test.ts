import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createCounter, createHistogram } from "./fast-metrics.ts";

test("what was counted is what a scrape shows", async () => {
  const registry = new Registry();
  const requests = createCounter(registry, "weir_test_total", "help", ["route", "status"]);
  requests.series("a", "200").add(1);
  requests.series("a", "200").add(2);
  requests.series('b"\n', "500").add(1);
  const text = await registry.metrics();
  expect(text).toContain("# TYPE weir_test_total counter");
  expect(text).toContain('weir_test_total{route="a",status="200"} 3');
  expect(text).toContain('weir_test_total{route="b\\"\\n",status="500"} 1');
});

test("a histogram's buckets are cumulative and hold their upper bound", async () => {
  const registry = new Registry();
  const seconds = createHistogram(registry, "weir_test_seconds", "help", ["route"], [0.1, 1]).series("a");
  for (const value of [0.05, 0.1, 0.5, 2]) seconds.observe(value);
  const text = await registry.metrics();
  expect(text).toContain('weir_test_seconds_bucket{le="0.1",route="a"} 2');
  expect(text).toContain('weir_test_seconds_bucket{le="1",route="a"} 3');
  expect(text).toContain('weir_test_seconds_bucket{le="+Inf",route="a"} 4');
  expect(text).toContain('weir_test_seconds_count{route="a"} 4');
  expect(text).toContain('weir_test_seconds_sum{route="a"} 2.65');
});
