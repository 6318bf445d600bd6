import { expect, test } from "vitest";
import type { LimitState } from "../ports.ts";
import { durationText, limitHeaders } from "./limit-headers.ts";

const requests: LimitState = {
  unit: "requests",
  name: "requests-per-key-1",
  limit: 600,
  remaining: 59,
  resetMs: 100,
  windowMs: 60_000,
};

test("durations are written as Go writes them, never shorter than they are", () => {
  const cases: [number, string][] = [
    [0, "0s"],
    [-5, "0s"],
    [0.2, "1ms"],
    [20, "20ms"],
    [999, "999ms"],
    [1000, "1s"],
    [1500, "1.5s"],
    [8640, "8.64s"],
    [59_999.1, "1m0s"],
    [360_000, "6m0s"],
    [3_600_000, "1h0m0s"],
    [86_399_500, "23h59m59.5s"],
  ];
  for (const [ms, text] of cases) expect(durationText(ms)).toBe(text);
});

test("the tightest limit per unit as OpenAI has it, and all of them as the IETF's draft has it", () => {
  const text = limitHeaders([
    { ...requests, name: "requests-per-workspace-2", limit: 10, remaining: 0, resetMs: 61_500, windowMs: 3_600_000 },
    { unit: "concurrency", name: "concurrency-per-key-5", limit: 4, remaining: 1, resetMs: 0, windowMs: 0 },
    { unit: "tokens", name: "tokens-per-key-3", limit: 1000, remaining: 400, resetMs: 36_000, windowMs: 60_000 },
    requests,
  ]);
  expect(text.split("\r\n")).toEqual([
    "x-ratelimit-limit-requests: 10",
    "x-ratelimit-remaining-requests: 0",
    "x-ratelimit-reset-requests: 1m1.5s",
    "x-ratelimit-limit-concurrency: 4",
    "x-ratelimit-remaining-concurrency: 1",
    "x-ratelimit-limit-tokens: 1000",
    "x-ratelimit-remaining-tokens: 400",
    "x-ratelimit-reset-tokens: 36s",
    'ratelimit-policy: "requests-per-workspace-2";q=10;w=3600, "concurrency-per-key-5";q=4;qu="concurrent-requests", ' +
      '"tokens-per-key-3";q=1000;w=60;qu="tokens", "requests-per-key-1";q=600;w=60',
    'ratelimit: "requests-per-workspace-2";r=0;t=62, "concurrency-per-key-5";r=1, "tokens-per-key-3";r=400;t=36, ' +
      '"requests-per-key-1";r=59;t=1',
    "",
  ]);
});

test("without limits there are no headers", () => {
  expect(limitHeaders([])).toBe("");
});
