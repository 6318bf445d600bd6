import { WeirError } from "@weir/kernel";
import { expect, test } from "vitest";
import { UpstreamError } from "../domain/call.ts";
import { createClose } from "./close.ts";
import { createComplete } from "./complete.ts";
import { createOpen } from "./open.ts";
import { type Failures, incoming, testPorts } from "./test-ports.ts";
import { newTrail } from "./trail.ts";

const NEVER = new AbortController().signal;

function run(failures: Failures = {}, request = incoming(), signal: AbortSignal = NEVER) {
  const ports = testPorts(failures);
  const complete = createComplete<never, string>(
    { ...ports, open: createOpen(ports), close: createClose(ports) },
    "complete",
    1_000,
  );
  const trail = newTrail("r", request.route, 0);
  return { ...ports, trail, answer: complete(request, trail, signal) };
}

test("admit, intent, call, outcome, settle: in this order, and only then the answer", async () => {
  const { answer, steps, settlements, trail } = run();
  expect(await answer).toMatchObject({ kind: "raw", status: 200 });
  expect(steps).toEqual(["admit", "intent", "call", "outcome succeeded", "settle"]);
  expect(settlements).toEqual([
    {
      requestId: "r",
      attempt: 1,
      keyId: "k",
      charge: { kind: "charge", amounts: { costNanos: 7n, tokens: 7n }, inputTokens: 3, outputTokens: 4 },
    },
  ]);
  expect(trail).toMatchObject({ outcome: "succeeded", status: 200 });
});

test("what is refused is recorded as refused, and nothing is called", async () => {
  const verdict = {
    admitted: false,
    reason: "rate_limited",
    message: "Too many.",
    retryAfterMs: 1_000,
    rule: "limit",
    limits: [],
  } as const;
  const { answer, steps } = run({ verdict });
  await expect(answer).rejects.toMatchObject({ reason: "rate_limited", retryAfterMs: 1_000 });
  expect(steps).toEqual(["admit", "refusal rate_limited"]);
});

test("what cannot be recorded is not called, and its hold is given back", async () => {
  const { answer, steps, settlements } = run({ intent: new WeirError("audit_unavailable", "full") });
  await expect(answer).rejects.toMatchObject({ reason: "audit_unavailable" });
  expect(steps).toEqual(["admit", "intent", "settle"]);
  expect(settlements).toMatchObject([{ charge: { kind: "void", notCalled: true } }]);
});

test("what limits of providers kept from being called takes nothing from other limits; what was wrong itself does", async () => {
  const limited = run({ call: new UpstreamError(new WeirError("rate_limited", "full"), false) });
  await expect(limited.answer).rejects.toMatchObject({ reason: "rate_limited" });
  expect(limited.settlements).toMatchObject([{ attempt: 1, charge: { kind: "void", notCalled: true } }]);
  const wrong = run({ call: new UpstreamError(new WeirError("invalid_request", "no"), false) });
  await expect(wrong.answer).rejects.toMatchObject({ reason: "invalid_request" });
  expect(wrong.settlements).toMatchObject([{ attempt: 1, charge: { kind: "void", notCalled: false } }]);
});

test("a place among those that run at a time is held from the intent to the outcome, however that goes", async () => {
  const limit = { hasLimit: true, hasConcurrencyLimit: true };
  const served = run({}, incoming(limit));
  await served.answer;
  expect(served.steps).toEqual(["admit", "intent", "slot", "call", "outcome succeeded", "settle", "slot free"]);
  const unrecorded = run({ outcome: new WeirError("audit_unavailable", "failing") }, incoming(limit));
  await expect(unrecorded.answer).rejects.toMatchObject({ reason: "audit_unavailable" });
  expect(unrecorded.steps.at(-1)).toBe("slot free");
  const refused = run({ intent: new WeirError("audit_unavailable", "full") }, incoming(limit));
  await expect(refused.answer).rejects.toMatchObject({ reason: "audit_unavailable" });
  expect(refused.steps).toEqual(["admit", "intent", "settle"]);
});

test("an answer whose outcome cannot be recorded is not shown; its charge stands, and its hold ends", async () => {
  const { answer, settlements } = run({ outcome: new WeirError("audit_unavailable", "failing") });
  await expect(answer).rejects.toMatchObject({ reason: "audit_unavailable" });
  expect(settlements).toMatchObject([{ attempt: 1, charge: { kind: "charge", amounts: { costNanos: 7n } } }]);
});

test("whatever broke while the router worked is charged at the bound, whatever it is called", async () => {
  for (const reason of ["overloaded", "deadline_exceeded", "stream_interrupted"] as const) {
    const { answer, settlements } = run({ call: new WeirError(reason, "gone") });
    await expect(answer).rejects.toMatchObject({ reason });
    expect(settlements[0], reason).toMatchObject({ charge: { kind: "at-bound" } });
  }
});

test("policy away: a key with a hard budget is refused, another goes on without a hold", async () => {
  const away = new WeirError("policy_unavailable", "away");
  const hard = run({ admit: away }, incoming({ hasHardBudget: true }));
  await expect(hard.answer).rejects.toMatchObject({ reason: "policy_unavailable" });
  expect(hard.steps).toEqual(["admit"]);
  const soft = run({ admit: away });
  expect(await soft.answer).toMatchObject({ status: 200 });
});

test("a key with neither budget nor limit costs policy nothing, and settles nothing", async () => {
  const { answer, steps, settlements } = run({}, incoming({ hasLimit: false }));
  await answer;
  expect(steps).toEqual(["intent", "call", "outcome succeeded", "settle"]);
  expect(settlements).toEqual([]);
});

test("the router dies: recorded as failed, and charged at the bound, since it may have been billed", async () => {
  const { answer, steps, settlements } = run({ call: new WeirError("router_unavailable", "gone") });
  await expect(answer).rejects.toMatchObject({ reason: "router_unavailable" });
  expect(steps).toEqual(["admit", "intent", "call", "outcome failed", "settle"]);
  expect(settlements).toMatchObject([1, 2, 3, 4, 5].map((attempt) => ({ attempt, charge: { kind: "at-bound" } })));
});

test("a router that refused before any attempt leaves nothing to charge", async () => {
  const refused = new UpstreamError(new WeirError("model_not_found", "no such model"), false);
  const { answer, settlements } = run({ call: refused });
  await expect(answer).rejects.toMatchObject({ reason: "model_not_found" });
  expect(settlements).toMatchObject([{ charge: { kind: "void" } }]);
});

test("a bug below is an internal error that tells nothing", async () => {
  const { answer, outcomes } = run({ call: new TypeError("secret detail") });
  await expect(answer).rejects.toMatchObject({ reason: "internal", message: "Weir failed to answer." });
  expect(outcomes).toMatchObject([{ kind: "failed", error: "internal" }]);
});

test("a client that left is recorded as cancelled; before the call nothing is called, and nothing charged", async () => {
  const gone = AbortSignal.abort();
  const { answer, steps, outcomes, settlements } = run({}, incoming(), gone);
  await expect(answer).rejects.toMatchObject({ reason: "client_closed" });
  expect(steps).not.toContain("call");
  expect(outcomes).toMatchObject([{ kind: "cancelled", status: 499 }]);
  expect(settlements).toMatchObject([{ charge: { kind: "void" } }]);
});

test("a client that leaves during the call may have to pay for it", async () => {
  const leaving = new AbortController();
  const { answer, outcomes, settlements } = run(
    { call: new WeirError("client_closed", "x"), onCall: () => leaving.abort() },
    incoming(),
    leaving.signal,
  );
  await expect(answer).rejects.toMatchObject({ reason: "client_closed" });
  expect(outcomes).toMatchObject([{ kind: "cancelled", status: 499 }]);
  expect(settlements[0]).toMatchObject({ charge: { kind: "at-bound" } });
});

const textOf = (kept: readonly ({ readonly bytes: Uint8Array } | undefined)[]): (string | undefined)[] =>
  kept.map((payload) => (payload === undefined ? undefined : Buffer.from(payload.bytes).toString()));

test("texts are kept where the workspace chose that, and nowhere else; a failed call's, too", async () => {
  for (const payloads of ["none", "hashes"] as const) {
    const { answer, kept } = run({}, incoming({ payloads }));
    await answer;
    expect(kept, payloads).toEqual([undefined]);
  }
  const redacted = run({}, incoming({ payloads: "redacted" }));
  await redacted.answer;
  expect(redacted.kept[0]?.bytes.length).toBeGreaterThan(0);
  const full = run({}, incoming({ payloads: "full" }));
  await full.answer;
  expect(textOf(full.kept)).toEqual(["r application/json {} | answer {}"]);
  const failed = run({ call: new WeirError("router_unavailable", "gone") }, incoming({ payloads: "full" }));
  await expect(failed.answer).rejects.toMatchObject({ reason: "router_unavailable" });
  expect(textOf(failed.kept)).toEqual(["r application/json {}"]);
});
