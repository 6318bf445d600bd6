import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { LimitOnPath } from "../src/domain/key-policy.ts";
import { incrementUs, NEVER_US, rateOf, remaining, taken } from "../src/domain/gcra.ts";
import { takeFits } from "../src/domain/limits.ts";
import type { Take } from "../src/domain/takes.ts";
import type { Buckets, TokensUsed } from "../src/ports.ts";
import { type LimitOfVector, type TokensOfVector, type Vector, vectors } from "./gcra-vectors.ts";

/** Empty buckets on a clock of the test's, with slots that are leased for 30 s. */
export interface TestBuckets {
  readonly buckets: Buckets;
  readonly setUs: (nowUs: number) => void;
}

const START_US = 1_800_000_000_000_000;

export function takeOf(bucket: string, terms: LimitOfVector, tokens: TokensOfVector): Take {
  const limit: LimitOnPath = {
    id: 1,
    place: "workspace",
    placeName: "test",
    per: "workspace",
    failClosed: false,
    ...terms,
  };
  if (terms.unit === "concurrency") return { kind: "slot", limit, bucket, capacity: terms.amount };
  const rate = rateOf(terms.amount, terms.windowMs, terms.burst);
  const parts = typeof tokens === "number" ? { input: tokens, output: 0 } : tokens;
  const costs = {
    requests: 1,
    tokens: parts.input + parts.output,
    "input-tokens": parts.input,
    "output-tokens": parts.output,
  };
  const cost = costs[terms.unit];
  return { kind: "rate", limit, rate, bucket, cost, incUs: incrementUs(rate, cost) };
}

/** What every Buckets does. */
export function bucketsContract(make: () => TestBuckets): void {
  for (const vector of vectors) test(`vector: ${vector.name}`, () => follow(vector, make()));

  test("equals the serial model, request by request, for batches of any make-up", async () => {
    const limit = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          unit: fc.constantFrom("requests" as const, "tokens" as const, "input-tokens" as const),
          amount: fc.integer({ min: 1, max: 500 }),
          windowMs: fc.integer({ min: 1000, max: 100_000 }),
          burst: fc.integer({ min: 0, max: 100 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          unit: fc.constant("concurrency" as const),
          amount: fc.integer({ min: 1, max: 30 }),
          windowMs: fc.constant(0),
          burst: fc.constant(0),
        }),
      },
    );
    const ask = fc.record({ limits: fc.subarray([0, 1, 2], { minLength: 1 }), tokens: fc.nat(400) });
    const batch = fc.record({ waitUs: fc.nat(20_000_000), asks: fc.array(ask, { minLength: 1, maxLength: 20 }) });
    await fc.assert(
      fc.asyncProperty(fc.tuple(limit, limit, limit), fc.array(batch, { maxLength: 12 }), async (limits, batches) => {
        const { buckets, setUs } = make();
        const run = randomUUID();
        const model = new Map<string, number>();
        const slots = new Map<string, number[]>();
        let nowUs = START_US;
        const stateOf = ({ kind, bucket }: Take): number =>
          kind === "rate"
            ? (model.get(bucket) ?? NEVER_US)
            : (slots.get(bucket) ?? []).filter((untilUs) => untilUs > nowUs).length;
        for (const { waitUs, asks } of batches) {
          nowUs += waitUs;
          setUs(nowUs);
          const requests = asks.map((one) => ({
            id: randomUUID(),
            takes: one.limits.map((i) => takeOf(`${run}:${i}`, limits[i] as LimitOfVector, one.tokens)),
          }));
          const verdicts = await buckets.take(requests);
          for (const [at, { takes }] of requests.entries()) {
            const refused = takes.findIndex((take) => !takeFits(take, stateOf(take), nowUs));
            if (refused === -1) {
              for (const take of takes) {
                if (take.kind === "rate") model.set(take.bucket, taken(stateOf(take), nowUs, take.incUs));
                else slots.set(take.bucket, [...(slots.get(take.bucket) ?? []), nowUs + 30_000_000]);
              }
            }
            const expected = { refused: refused === -1 ? undefined : refused, states: takes.map(stateOf), nowUs };
            expect(verdicts[at]).toEqual(expected);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a peek says what a take would find, and takes nothing", async () => {
    const { buckets, setUs } = make();
    setUs(START_US);
    const name = randomUUID();
    const takes = [
      takeOf(`${name}:r`, { unit: "requests", amount: 2, windowMs: 1000, burst: 0 }, 0),
      takeOf(`${name}:s`, { unit: "concurrency", amount: 2, windowMs: 0, burst: 0 }, 0),
    ];
    const fit = async (): Promise<boolean[]> => {
      const { states, nowUs } = await buckets.peek(takes);
      return takes.map((take, index) => takeFits(take, states[index] as number, nowUs));
    };
    expect(await fit()).toEqual([true, true]);
    expect(await fit()).toEqual([true, true]);
    const [first] = await buckets.take([{ id: randomUUID(), takes }]);
    expect((await buckets.peek(takes)).states).toEqual(first?.states);
    expect(await fit()).toEqual([false, true]);
    const [second] = await buckets.take([{ id: randomUUID(), takes }]);
    expect(second?.refused).toBe(0);
    setUs(START_US + 500_000);
    expect(await fit()).toEqual([true, true]);
    await buckets.take([{ id: randomUUID(), takes }]);
    setUs(START_US + 1_000_000);
    expect(await fit()).toEqual([true, false]);
  });

  test("a batch longer than one call goes through in order", async () => {
    const { buckets, setUs } = make();
    setUs(START_US);
    const terms: LimitOfVector = { unit: "requests", amount: 1000, windowMs: 10_000, burst: 149 };
    const bucket = randomUUID();
    const requests = Array.from({ length: 200 }, () => ({
      id: randomUUID(),
      takes: [takeOf(bucket, terms, 0)],
    }));
    const verdicts = await buckets.take(requests);
    expect(verdicts.map(({ refused }) => refused === undefined)).toEqual(requests.map((_, i) => i < 150));
  });
}

async function follow(vector: Vector, { buckets, setUs }: TestBuckets): Promise<void> {
  const run = randomUUID();
  const ids = new Map<string, string>();
  const idOf = (name: string): string => {
    const id = ids.get(name) ?? randomUUID();
    ids.set(name, id);
    return id;
  };
  for (const step of vector.steps) {
    const nowUs = START_US + step.atMs * 1000;
    setUs(nowUs);
    if ("giveBack" in step) await buckets.giveBack([idOf(step.giveBack)]);
    else if ("renew" in step) await buckets.renew([idOf(step.renew)]);
    else if ("settle" in step) {
      const { settle, attempt, tokens, over = false } = step;
      await buckets.settle([{ id: idOf(settle), attempt, tokens: usedOf(tokens), over }]);
    } else {
      const takes = step.of.map((name) =>
        takeOf(`${run}:${name}`, vector.limits[name] as LimitOfVector, step.tokens ?? 0),
      );
      const [verdict] = await buckets.take([{ id: idOf(step.take), takes }]);
      const where = `${vector.name}, at ${step.atMs} ms, request ${step.take}`;
      expect(verdict?.refused === undefined ? undefined : step.of[verdict.refused], where).toBe(step.refusedBy);
      const left = takes.map((take, i) => {
        const state = verdict?.states[i] ?? 0;
        return take.kind === "slot" ? take.capacity - state : remaining(take.rate, state, nowUs);
      });
      expect(
        left.map((units) => Math.max(0, units)),
        where,
      ).toEqual(step.left);
    }
  }
}

const usedOf = (tokens: TokensOfVector | undefined): TokensUsed | undefined =>
  tokens === undefined
    ? undefined
    : typeof tokens === "number"
      ? { total: tokens, parts: undefined }
      : { total: tokens.input + tokens.output, parts: tokens };
