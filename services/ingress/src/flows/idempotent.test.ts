import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import type { KeptAnswer } from "../domain/kept-answer.ts";
import type { IdempotentRequests } from "../ports.ts";
import type { Complete } from "./complete.ts";
import { idempotentComplete, idempotentStream, type IdempotentPorts } from "./idempotent.ts";
import { createReplay } from "./replay.ts";
import type { Stream, StreamSink } from "./stream.ts";
import { incoming, result, SERVED, testPorts } from "./test-ports.ts";
import { newTrail, type Trail } from "./trail.ts";

type Found = Awaited<ReturnType<IdempotentRequests<string, string>["begin"]>>;

function ports(found?: Found) {
  const steps: string[] = [];
  const all = testPorts();
  const request = {
    answer: () => void steps.push("answer"),
    frame: (bytes: Uint8Array) => void steps.push(`keep ${Buffer.from(bytes).toString()}`),
    event: (event: string) => void steps.push(`keep ${event}`),
    finish: () => Promise.resolve().then(() => void steps.push("kept")),
    release: () => Promise.resolve().then(() => void steps.push("released")),
  };
  const given: IdempotentPorts<string, string> = {
    requests: { begin: () => Promise.resolve(found ?? { state: "begun", request }) },
    replay: createReplay(all),
    journal: all.journal,
    clock: all.clock,
  };
  return { given, steps, all };
}

const keyed = () => ({ ...incoming(), idempotencyKey: "k" });
const signal = new AbortController().signal;
const body = { kind: "raw", status: 200, contentType: "application/json", body: Buffer.from("{}") } as const;
const trailOf = (): Trail => newTrail("r", "route", 0);

const answers: Complete<never, string> = (_incoming, trail) => {
  trail.result = result();
  trail.outcome = "succeeded";
  return Promise.resolve(body);
};

test("without a key nobody is asked", async () => {
  const { given, steps } = ports();
  await idempotentComplete(given, answers)(incoming(), trailOf(), signal);
  expect(steps).toEqual([]);
});

test("an answer is kept; a failure, thrown or answered, is let go", async () => {
  const good = ports();
  expect(await idempotentComplete(good.given, answers)(keyed(), trailOf(), signal)).toBe(body);
  expect(good.steps).toEqual(["answer", "kept"]);
  const thrown = ports();
  const fails = idempotentComplete(thrown.given, () => Promise.reject(new WeirError("rate_limited", "no")));
  await expect(fails(keyed(), trailOf(), signal)).rejects.toThrow("no");
  expect(thrown.steps).toEqual(["released"]);
  const answered = ports();
  const rejected: Complete<never, string> = (_incoming, trail) => {
    trail.result = result({ error: new WeirError("provider_rejected", "no") });
    return Promise.resolve(body);
  };
  await idempotentComplete(answered.given, rejected)(keyed(), trailOf(), signal);
  expect(answered.steps).toEqual(["released"]);
});

function sink(steps: string[]): StreamSink<string> {
  return {
    start: (_served, _dropped, headers) => void steps.push(`start ${headers.map(([name]) => name).join(" ")}`.trim()),
    frame: (bytes) => steps.push(`show ${Buffer.from(bytes).toString()}`) > 0,
    event: (event) => steps.push(`show ${event}`) > 0,
    drained: () => Promise.resolve(),
    finish: (terminal, error) => void steps.push(`end ${Buffer.from(terminal).toString()}${error?.reason ?? ""}`),
  };
}

const streams =
  (outcome: Trail["outcome"], error?: WeirError): Stream<never, string> =>
  (_incoming, trail, to) => {
    trail.result = result(error === undefined ? {} : { error });
    trail.outcome = outcome;
    to.start(SERVED, [], []);
    to.frame(Buffer.from("one"));
    to.finish(Buffer.from(error === undefined ? "DONE" : ""), error);
    return Promise.resolve(undefined);
  };

test("a stream is kept before its client sees its end", async () => {
  const { given, steps } = ports();
  await idempotentStream(given, streams("succeeded"))(keyed(), trailOf(), sink(steps), signal);
  expect(steps).toEqual(["start", "keep one", "show one", "keep DONE", "kept", "end DONE"]);
});

test("a stream that broke off, or whose client left, is let go", async () => {
  const broken = ports();
  const error = new WeirError("stream_interrupted", "cut");
  await idempotentStream(broken.given, streams("failed", error))(keyed(), trailOf(), sink(broken.steps), signal);
  expect(broken.steps.slice(-2)).toEqual(["released", "end stream_interrupted"]);
  const left = ports();
  await idempotentStream(left.given, streams("cancelled"))(keyed(), trailOf(), sink(left.steps), signal);
  expect(left.steps).toContain("released");
});

const kept = (content: KeptAnswer<string, string>["content"]): Found => ({
  state: "answered",
  answer: { requestId: "first", served: SERVED, dropped: [], content },
});

test("a replay is recorded before it is shown, names the first, and charges nothing", async () => {
  const { given, all } = ports(kept({ kind: "whole", output: body }));
  const trail = trailOf();
  const never: Complete<never, string> = () => Promise.reject(new Error("it ran"));
  expect(await idempotentComplete(given, never)(keyed(), trail, signal)).toBe(body);
  expect(all.steps).toEqual(["intent", "outcome succeeded", "settle"]);
  expect(all.settlements).toEqual([]);
  expect(all.outcomes).toMatchObject([
    { replayOf: "first", kind: "succeeded", result: { attempts: [], costNanos: 0n } },
  ]);
  expect([trail.replayOf, trail.status]).toEqual(["first", 200]);
});

test("a replayed stream is a stream", async () => {
  const frames = [Buffer.from("one"), Buffer.from("two"), Buffer.from("DONE")];
  const { given, steps } = ports(kept({ kind: "frames", frames }));
  const never: Stream<never, string> = () => Promise.reject(new Error("it ran"));
  await idempotentStream(given, never)(keyed(), trailOf(), sink(steps), signal);
  expect(steps).toEqual(["start idempotent-replayed x-weir-replay-of", "show one", "show two", "end DONE"]);
});

test.each([
  [{ state: "running", requestId: "first", retryAfterMs: 700 }, "request_running"],
  [{ state: "mismatch", requestId: "first" }, "idempotency_mismatch"],
  [{ state: "not-kept", requestId: "first" }, "answer_not_kept"],
  [{ state: "unreadable", requestId: "first" }, "answer_not_kept"],
] as const)("%o is a refusal, and recorded", async (found, reason) => {
  const { given, all } = ports(found);
  await expect(idempotentComplete(given, answers)(keyed(), trailOf(), signal)).rejects.toMatchObject({ reason });
  expect(all.steps).toEqual([`refusal ${reason}`]);
});
