import { WeirError } from "@weir/kernel";
import { flatPrice, samePrice } from "@weir/pricing";
import { NO_RULES } from "@weir/rules";
import { expect, test } from "vitest";
import type { Candidate } from "../domain/bound.ts";
import { UpstreamError } from "../domain/call.ts";
import type { Admission, InputCounter, Verdict } from "../ports.ts";
import { createCountInput } from "./exact-input.ts";
import { createOpen } from "./open.ts";
import { incoming, testPorts } from "./test-ports.ts";
import { newTrail } from "./trail.ts";

const TEXT_BYTES = 4_000;
const TOKENS = 1_000;
const candidate = (some: Partial<Candidate> = {}): Candidate => ({
  provider: "a",
  model: "m",
  region: "",
  plan: samePrice(flatPrice({ inputNanosPerMtok: 1_000_000_000n }, "test")),
  contextWindow: 100_000,
  maxOutputTokens: 8_000,
  countsTokens: true,
  ...some,
});
const refused = (reason: "budget_exceeded" | "rate_limited" | "invalid_key"): Verdict => ({
  admitted: false,
  reason,
  message: "no",
  retryAfterMs: undefined,
  rule: "budget",
  limits: [],
});

interface World {
  readonly candidates?: readonly Candidate[];
  /** Of the input, that fit. */
  readonly fits?: number;
  readonly refusal?: Verdict;
  readonly counter?: InputCounter<never>["countInput"];
  readonly maxInputTokens?: number;
  readonly textTokens?: number;
}

function open({ candidates = [candidate()], fits = Infinity, refusal = refused("budget_exceeded"), ...world }: World) {
  const ports = testPorts();
  const admitted: Admission[] = [];
  const counted: number[] = [];
  const failures: unknown[] = [];
  const counter: InputCounter<never> = {
    countInput(call, options) {
      counted.push(call.inputBound);
      const { textTokens = TOKENS } = world;
      return (
        world.counter?.(call, options) ?? Promise.resolve([{ provider: "a", model: "m", tokens: TOKENS, textTokens }])
      );
    },
  };
  const flow = createOpen({
    ...ports,
    models: { ...ports.models, candidates: () => candidates },
    countInput: createCountInput(counter, (error) => void failures.push(error)),
    admissions: {
      ...ports.admissions,
      admit(admission) {
        admitted.push(admission);
        const verdict = admission.bound.inputTokens <= fits ? { admitted: true, held: true, limits: [] } : refusal;
        return Promise.resolve(verdict as Verdict);
      },
    },
  });
  const rules = { ...NO_RULES, maxInputTokens: world.maxInputTokens ?? 0 };
  const request = incoming({ hasBudget: true, rules });
  const asked = { ...request, shape: { ...request.shape, textBytes: TEXT_BYTES } };
  const opened = flow(asked, newTrail("r", "x", 0), new AbortController().signal);
  return { opened, admitted, counted, failures };
}

test("who fits by the bytes is never counted", async () => {
  const { opened, admitted, counted } = open({});
  expect((await opened).call.inputBound).toBe(TEXT_BYTES + 64);
  expect(admitted).toHaveLength(1);
  expect(counted).toEqual([]);
});

test("who does not fit by the bytes is counted and asked for once more", async () => {
  for (const reason of ["budget_exceeded", "rate_limited"] as const) {
    const { opened, admitted, counted } = open({ fits: 2_000, refusal: refused(reason) });
    expect((await opened).call.inputBound).toBe(TOKENS + 64);
    expect(admitted.map(({ bound }) => bound.inputTokens)).toEqual([TEXT_BYTES + 64, TOKENS + 64]);
    expect(counted).toEqual([TEXT_BYTES]);
  }
});

test("who does not fit by the tokens either is refused, after two questions", async () => {
  const { opened, admitted } = open({ fits: 10 });
  await expect(opened).rejects.toMatchObject({ reason: "budget_exceeded" });
  expect(admitted).toHaveLength(2);
});

test("nothing is counted where it changes nothing", async () => {
  const unknown = open({ fits: 10, candidates: [candidate({ countsTokens: false })] });
  await expect(unknown.opened).rejects.toMatchObject({ reason: "budget_exceeded" });
  const revoked = open({ fits: 10, refusal: refused("invalid_key") });
  await expect(revoked.opened).rejects.toMatchObject({ reason: "invalid_key" });
  expect([...unknown.counted, ...revoked.counted]).toEqual([]);
  expect(unknown.admitted).toHaveLength(1);
});

test("where another candidate is not counted its bytes bound the request", async () => {
  const { opened, admitted } = open({
    fits: 2_000,
    candidates: [candidate(), candidate({ provider: "b", countsTokens: false })],
  });
  await expect(opened).rejects.toMatchObject({ reason: "budget_exceeded" });
  expect(admitted).toHaveLength(1);
});

test("a router that cannot count refuses nobody but those who do not fit", async () => {
  const away = () => Promise.reject(new UpstreamError(new WeirError("router_unavailable", "away"), true));
  const { opened, failures } = open({ fits: 10, counter: away });
  await expect(opened).rejects.toMatchObject({ reason: "budget_exceeded" });
  expect(failures).toHaveLength(1);
});

test("the longest input that a key may send is counted where it can be", async () => {
  // By a quarter of the bytes it is a thousand.
  expect((await open({ maxInputTokens: 1_000 }).opened).call.requestId).toBe("r");
  expect((await open({ maxInputTokens: 900, textTokens: 600 }).opened).call.requestId).toBe("r");
  await expect(open({ maxInputTokens: 900, textTokens: 950 }).opened).rejects.toMatchObject({
    reason: "invalid_request",
  });
  const short = open({ maxInputTokens: TEXT_BYTES });
  await short.opened;
  expect(short.counted).toEqual([]);
});
