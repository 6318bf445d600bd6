import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { LimitOnPath } from "../src/domain/key-policy.ts";
import { fits, incrementUs, NEVER_US, rateOf, remaining, taken } from "../src/domain/gcra.ts";
import type { Take } from "../src/domain/limits.ts";
import type { Buckets } from "../src/ports.ts";
import { type LimitOfVector, type Vector, vectors } from "./gcra-vectors.ts";

/** Empty buckets on a clock of the test's. */
export interface TestBuckets {
  readonly buckets: Buckets;
  readonly setUs: (nowUs: number) => void;
}

const START_US = 1_800_000_000_000_000;

function takeOf(bucket: string, terms: LimitOfVector, tokens: number): Take {
  const limit: LimitOnPath = {
    id: 1,
    place: "workspace",
    placeName: "test",
    per: "workspace",
    failClosed: false,
    ...terms,
  };
  const rate = rateOf(terms.amount, terms.windowMs, terms.burst);
  const cost = terms.unit === "tokens" ? tokens : 1;
  return { limit, rate, bucket, cost, incUs: incrementUs(rate, cost) };
}

/** What every Buckets does. */
export function bucketsContract(make: () => TestBuckets): void {
  for (const vector of vectors) test(`vector: ${vector.name}`, () => follow(vector, make()));

  test("equals the serial model, request by request, for batches of any make-up", async () => {
    const limit = fc.record({
      unit: fc.constantFrom("requests" as const, "tokens" as const),
      amount: fc.integer({ min: 1, max: 500 }),
      windowMs: fc.integer({ min: 1000, max: 100_000 }),
      burst: fc.integer({ min: 0, max: 100 }),
    });
    const ask = fc.record({ limits: fc.subarray([0, 1, 2], { minLength: 1 }), tokens: fc.nat(400) });
    const batch = fc.record({ waitUs: fc.nat(20_000_000), asks: fc.array(ask, { minLength: 1, maxLength: 20 }) });
    await fc.assert(
      fc.asyncProperty(fc.tuple(limit, limit, limit), fc.array(batch, { maxLength: 12 }), async (limits, batches) => {
        const { buckets, setUs } = make();
        const run = randomUUID();
        const model = new Map<string, number>();
        let nowUs = START_US;
        for (const { waitUs, asks } of batches) {
          nowUs += waitUs;
          setUs(nowUs);
          const requests = asks.map((one) => ({
            requestId: randomUUID(),
            takes: one.limits.map((i) => takeOf(`${run}:${i}`, limits[i] as LimitOfVector, one.tokens)),
          }));
          const verdicts = await buckets.take(requests);
          for (const [at, { takes }] of requests.entries()) {
            const tats = takes.map(({ bucket }) => model.get(bucket) ?? NEVER_US);
            const refused = takes.findIndex((take, i) => !fits(tats[i] ?? 0, nowUs, take.incUs, take.rate.toleranceUs));
            if (refused === -1) {
              takes.forEach((take, i) => void model.set(take.bucket, taken(tats[i] ?? 0, nowUs, take.incUs)));
            }
            expect(verdicts[at]).toEqual({
              refused: refused === -1 ? undefined : refused,
              tatsUs: takes.map(({ bucket }) => model.get(bucket) ?? NEVER_US),
              nowUs,
            });
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a batch longer than one call goes through in order", async () => {
    const { buckets, setUs } = make();
    setUs(START_US);
    const terms: LimitOfVector = { unit: "requests", amount: 1000, windowMs: 10_000, burst: 149 };
    const bucket = randomUUID();
    const requests = Array.from({ length: 200 }, () => ({
      requestId: randomUUID(),
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
    else if ("settle" in step) {
      await buckets.settle([{ requestId: idOf(step.settle), attempt: step.attempt, tokens: step.tokens }]);
    } else {
      const takes = step.of.map((name) =>
        takeOf(`${run}:${name}`, vector.limits[name] as LimitOfVector, step.tokens ?? 0),
      );
      const [verdict] = await buckets.take([{ requestId: idOf(step.take), takes }]);
      const where = `${vector.name}, at ${step.atMs} ms, request ${step.take}`;
      expect(verdict?.refused === undefined ? undefined : step.of[verdict.refused], where).toBe(step.refusedBy);
      expect(
        takes.map((take, i) => remaining(take.rate, verdict?.tatsUs[i] ?? 0, nowUs)),
        where,
      ).toEqual(step.left);
    }
  }
}
