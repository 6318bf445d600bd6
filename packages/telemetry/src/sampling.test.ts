import fc from "fast-check";
import { expect, test } from "vitest";
import { isSampled, samplingRule } from "./sampling.ts";
import { parseTraceparent, renderTraceparent, unsampledTraceparent } from "./traceparent.ts";

const caller = (sampled: boolean) => ({ traceId: "a".repeat(32), spanId: "b".repeat(16), sampled });

test("by default all traces that start here are kept, and a caller's choice is followed", () => {
  const rule = samplingRule({});
  expect(isSampled(rule, undefined, 0.999)).toBe(true);
  expect(isSampled(rule, caller(false), 0)).toBe(false);
});

test("a ratio is of new traces; callers that chose are followed in the parent-based form only", () => {
  const env = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" };
  const rule = samplingRule(env);
  expect([isSampled(rule, undefined, 0.24), isSampled(rule, undefined, 0.26)]).toEqual([true, false]);
  expect(isSampled(rule, caller(true), 0.99)).toBe(true);
  const own = samplingRule({ ...env, OTEL_TRACES_SAMPLER: "traceidratio" });
  expect(isSampled(own, caller(true), 0.99)).toBe(false);
});

test("a sampler or a ratio that does not exist is refused at the start", () => {
  expect(() => samplingRule({ OTEL_TRACES_SAMPLER: "sometimes" })).toThrow(/sometimes/);
  expect(() => samplingRule({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" })).toThrow(RangeError);
});

test("traceparents go through unchanged; what is none starts a new trace", () => {
  for (const sampled of [true, false]) {
    expect(parseTraceparent(renderTraceparent(caller(sampled)))).toEqual(caller(sampled));
  }
  expect(parseTraceparent(`01-${"a".repeat(32)}-${"b".repeat(16)}-01-future`)).toEqual(caller(true));
  for (const bad of [
    "",
    `00-${"0".repeat(32)}-${"b".repeat(16)}-01`,
    `00-${"a".repeat(32)}-${"0".repeat(16)}-01`,
    `ff-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    `00-${"A".repeat(32)}-${"b".repeat(16)}-01`,
    `00-${"a".repeat(32)}-${"b".repeat(16)}-01-more`,
  ]) {
    expect(parseTraceparent(bad), bad).toBeUndefined();
  }
  fc.assert(fc.property(fc.string(), (text) => void parseTraceparent(text)));
});

test("an unsampled trace has an id of its own", () => {
  const seen = new Set(Array.from({ length: 2_000 }, () => unsampledTraceparent()));
  expect(seen.size).toBe(2_000);
  for (const text of seen) expect(parseTraceparent(text)?.sampled).toBe(false);
});
