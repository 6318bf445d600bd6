import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import type { StreamMessage } from "../domain/call.ts";
import type { Key } from "../domain/key.ts";
import { createClose } from "./close.ts";
import { createOpen } from "./open.ts";
import { createStream, type StreamSink } from "./stream.ts";
import { type Failures, incoming, result, SERVED, testPorts } from "./test-ports.ts";
import { newTrail } from "./trail.ts";

const START: StreamMessage<string> = {
  kind: "start",
  served: SERVED,
  dropped: [],
  headers: [],
  rates: { inputTokens: 5, priceVersion: "test", costOf: (usage) => BigInt(usage.inputTokens + usage.outputTokens) },
  failedAttempts: [],
};
const FRAME: StreamMessage<string> = { kind: "frame", bytes: Buffer.from("data: 1\n\n"), outputBytes: 9 };
const END: StreamMessage<string> = {
  kind: "end",
  result: result(),
  terminal: Buffer.from("data: [DONE]\n\n"),
  failure: { kind: "none" },
};

function run(
  failures: Failures,
  options: { abortAfterFrames?: number; abortReason?: WeirError; slow?: boolean; payloads?: Key["payloads"] } = {},
) {
  const ports = testPorts(failures);
  const { steps } = ports;
  const gone = new AbortController();
  let frames = 0;
  const sink: StreamSink<string> = {
    start: () => void steps.push("start"),
    frame() {
      frames += 1;
      steps.push("frame");
      if (frames === options.abortAfterFrames) gone.abort(options.abortReason);
      return options.slow !== true;
    },
    event: () => true,
    drained() {
      steps.push("drained");
      return Promise.resolve();
    },
    finish: (terminal, error) =>
      void steps.push(`finish ${Buffer.from(terminal).toString().trim() || (error?.reason ?? "")}`),
  };
  const stream = createStream({ ...ports, open: createOpen(ports), close: createClose(ports) }, 1_000);
  return {
    ...ports,
    answer: stream(incoming({ payloads: options.payloads ?? "hashes" }), newTrail("r", "route", 0), sink, gone.signal),
  };
}

test("the terminal bytes come after the outcome is recorded", async () => {
  const { answer, steps } = run({ stream: [START, FRAME, FRAME, END] });
  expect(await answer).toBeUndefined();
  expect(steps).toEqual([
    "admit",
    "intent",
    "call",
    "start",
    "frame",
    "frame",
    "outcome succeeded",
    "settle",
    "finish data: [DONE]",
  ]);
});

test("a client that is behind is waited for", async () => {
  const { answer, steps } = run({ stream: [START, FRAME, END] }, { slow: true });
  await answer;
  expect(steps).toContain("drained");
});

test("an outcome that cannot be recorded shows no end", async () => {
  const { answer, steps } = run({
    stream: [START, FRAME, END],
    outcome: new WeirError("audit_unavailable", "failing"),
  });
  await expect(answer).rejects.toMatchObject({ reason: "audit_unavailable" });
  expect(steps.some((step) => step.startsWith("finish"))).toBe(false);
});

test("a router that dies in the middle ends in an error, and what went by is charged as estimated", async () => {
  const { answer, steps, outcomes, settlements } = run({
    stream: [START, FRAME, new WeirError("router_unavailable", "gone")],
  });
  await answer;
  expect(steps.at(-1)).toBe("finish router_unavailable");
  expect(outcomes).toMatchObject([
    { kind: "failed", status: 200, result: { usage: { outputTokens: 9, inputTokens: 5, estimated: true } } },
  ]);
  expect(settlements).toMatchObject([{ charge: { kind: "charge", amounts: { costNanos: 14n } } }]);
});

test("a router that ends without an end did not end well", async () => {
  const { answer, steps } = run({ stream: [START, FRAME] });
  await answer;
  expect(steps.at(-1)).toBe("finish stream_interrupted");
});

test("a client that leaves is charged for what was sent to it", async () => {
  const { answer, outcomes, settlements } = run({ stream: [START, FRAME, FRAME, END] }, { abortAfterFrames: 1 });
  await answer;
  expect(outcomes).toMatchObject([{ kind: "cancelled", error: "client_closed" }]);
  expect(settlements).toMatchObject([{ charge: { kind: "charge", amounts: { tokens: 14n } } }]);
});

test("a key that is revoked with its requests ends them in band; what was sent is charged", async () => {
  const reason = new WeirError("key_revoked", "gone");
  const { answer, outcomes, settlements, steps } = run(
    { stream: [START, FRAME, FRAME, END] },
    { abortAfterFrames: 1, abortReason: reason },
  );
  await answer;
  expect(steps.slice(-3)).toEqual(["outcome cancelled", "settle", "finish key_revoked"]);
  expect(outcomes).toMatchObject([{ kind: "cancelled", error: "key_revoked" }]);
  expect(settlements).toMatchObject([{ charge: { kind: "charge", amounts: { tokens: 14n } } }]);
});

test("a client that leaves a kept answer pays for its vector, and no more", async () => {
  const vector = {
    ...SERVED,
    attempt: 5,
    status: 200,
    error: undefined,
    usage: undefined,
    costNanos: 3n,
    durationUs: 1,
  };
  const cache = { outcome: "semantic-hit", ageMs: 1, savedNanos: 9n, similarity: 0.99 } as const;
  const kept = { ...START, cache, failedAttempts: [{ ...vector, billing: "charged" as const }] };
  const { answer, outcomes, settlements } = run({ stream: [kept, FRAME, FRAME] }, { abortAfterFrames: 1 });
  await answer;
  expect(outcomes).toMatchObject([{ kind: "cancelled", result: { costNanos: 3n, cache, attempts: [{ attempt: 5 }] } }]);
  expect(settlements).toMatchObject([
    { attempt: 5, charge: { kind: "charge", amounts: { costNanos: 3n } } },
    { attempt: 1, charge: { kind: "void" } },
  ]);
});

test("without a start the client gets the router's answer, or an error with a status", async () => {
  const failed = result({
    served: undefined,
    error: new WeirError("provider_rate_limited", "slow down"),
    attempts: [],
  });
  const raw = { kind: "raw", status: 429, contentType: "application/json", body: Buffer.from("{}") } as const;
  const told = run({ stream: [{ kind: "end", result: failed, terminal: Buffer.alloc(0), failure: raw }] });
  expect(await told.answer).toEqual(raw);
  const bare = run({ stream: [new WeirError("router_unavailable", "gone")] });
  await expect(bare.answer).rejects.toMatchObject({ reason: "router_unavailable" });
  expect(bare.settlements).toMatchObject([1, 2, 3, 4, 5].map((attempt) => ({ attempt, charge: { kind: "at-bound" } })));
});

const textOf = (kept: readonly ({ readonly bytes: Uint8Array } | undefined)[]): (string | undefined)[] =>
  kept.map((payload) => (payload === undefined ? undefined : Buffer.from(payload.bytes).toString()));

test("what a stream showed is kept where the workspace chose that: to its end, to where it was left, or what it failed with", async () => {
  const whole: StreamMessage<string>[] = [START, FRAME, FRAME, END];
  const hashes = run({ stream: whole });
  await hashes.answer;
  expect(hashes.kept).toEqual([undefined]);
  const full = run({ stream: whole }, { payloads: "full" });
  await full.answer;
  expect(textOf(full.kept)).toEqual(["r application/json {} | data: 1 | data: 1 | data: [DONE]"]);
  const left = run({ stream: whole }, { payloads: "full", abortAfterFrames: 1 });
  await left.answer;
  expect(textOf(left.kept)).toEqual(["r application/json {} | data: 1"]);
  const failure = { kind: "raw" as const, status: 400, contentType: "application/json", body: Buffer.from("no") };
  const failed = run({ stream: [{ ...END, terminal: new Uint8Array(0), failure }] }, { payloads: "full" });
  expect(await failed.answer).toEqual(failure);
  expect(textOf(failed.kept)).toEqual(["r application/json {} | answer no"]);
});
