import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { createCounter, createGauges, createHistogram } from "./fast-metrics.ts";

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

test("a gauge of several series shows those that there are now", async () => {
  const registry = new Registry();
  let lines = [{ labels: ["a", "1"], value: 3 }];
  createGauges(registry, "weir_test_length", "help", ["line", "priority"], () => lines);
  expect(await registry.metrics()).toContain('weir_test_length{line="a",priority="1"} 3');
  lines = [{ labels: ["b", "0"], value: 0 }];
  const text = await registry.metrics();
  expect(text).toContain('weir_test_length{line="b",priority="0"} 0');
  expect(text).not.toContain('line="a"');
});
