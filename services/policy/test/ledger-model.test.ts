import { randomUUID } from "node:crypto";
import { type BackingPostgres, startPostgres } from "@weir/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Amounts } from "../src/domain/amounts.ts";
import type { BudgetUnit } from "../src/domain/key-policy.ts";
import type { HoldPlace, HoldRequest, Settlement } from "../src/domain/ledger.ts";
import type { Ledger } from "../src/ports.ts";
import { recover } from "../src/flows/recover.ts";
import { ledgerFixture, type LedgerFixture } from "./ledger-fixture.ts";
import { LedgerModel } from "./ledger-model.ts";

let postgres: BackingPostgres;
let fixture: LedgerFixture;

beforeAll(async () => {
  postgres = await startPostgres();
  fixture = await ledgerFixture(await postgres.freshDatabase());
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

const amounts: fc.Arbitrary<Amounts> = fc.record({
  costNanos: fc.bigInt({ min: 0n, max: 12n }),
  tokens: fc.bigInt({ min: 0n, max: 12n }),
});
const outcome = fc.oneof(
  fc.constant("void" as const),
  fc.constant("at-bound" as const),
  amounts,
  fc.record({ costNanos: fc.constant(0n), tokens: fc.constant(0n) }),
);
const REQUESTS = 8;
const request = fc.nat(REQUESTS - 1);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      settlements: fc.array(fc.record({ request, attempt: fc.integer({ min: 1, max: 3 }), outcome }), { maxLength: 4 }),
      holds: fc.array(
        fc.record({
          request,
          attempt: fc.integer({ min: 1, max: 3 }),
          owner: fc.nat(1),
          path: fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 1 }),
          run: fc.nat(1),
          call: fc.nat(2),
          bound: amounts,
        }),
        { maxLength: 6 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("recover" as const), owner: fc.nat(1), open: fc.array(request) }),
  },
);
const terms = {
  unit: fc.constantFrom<BudgetUnit>("nano-usd", "tokens", "requests"),
  limit: fc.bigInt({ min: 0n, max: 40n }),
  hard: fc.boolean(),
};
const budget = fc.record(terms);
const runBudget = fc.record({
  ...terms,
  maxIdenticalCalls: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
});

function distinct<T extends { request: number; attempt: number }>(items: T[]): T[] {
  return [...new Map(items.map((item) => [`${item.request}/${item.attempt}`, item])).values()];
}

test("the ledger does what a serial model does, in batches, over reservations, extensions, settlements, repeats and recoveries", async () => {
  // Two replicas take turns.
  const replicas: Ledger[] = [fixture.ledger(), fixture.ledger()];
  await fc.assert(
    fc.asyncProperty(
      fc.array(budget, { minLength: 4, maxLength: 4 }),
      fc.array(runBudget, { minLength: 2, maxLength: 2 }),
      fc.array(step, { maxLength: 14 }),
      async (plain, perRun, steps) => {
        const model = new LedgerModel();
        const runs = [randomUUID(), randomUUID()];
        const budgets = [
          ...plain.map((one) => ({ ...one, per: "none" as const, maxIdenticalCalls: undefined })),
          ...perRun.map((one) => ({ ...one, per: "run" as const })),
        ];
        const ids = await Promise.all(budgets.map((one) => fixture.budget(one)));
        budgets.forEach((one, i) => model.budget(ids[i] ?? 0, one.unit, one.limit, one.hard, one.maxIdenticalCalls));
        const placeOf = (path: readonly number[], run: number, call: number): HoldPlace => ({
          keyId: randomUUID(),
          budgetIds: path.map((i) => ids[i] ?? 0),
          subjects: path.some((i) => i >= 4) ? path.map((i) => (i < 4 ? "" : (runs[run] ?? ""))) : undefined,
          call: {
            digest: `call-${call}`,
            counted: path.flatMap((i, at) => (budgets[i]?.maxIdenticalCalls === undefined ? [] : [at])),
          },
        });
        const requests = Array.from({ length: REQUESTS }, () => randomUUID());
        const owners = [randomUUID(), randomUUID()];

        for (const [turn, one] of steps.entries()) {
          const ledger = replicas[turn % 2] as Ledger;
          if (one.do === "batch") {
            const settlements = distinct(one.settlements).map(
              (s): Settlement => ({ requestId: requests[s.request] ?? "", attempt: s.attempt, outcome: s.outcome }),
            );
            const holds = distinct(one.holds).map(
              (h): HoldRequest => ({
                requestId: requests[h.request] ?? "",
                attempt: h.attempt,
                owner: owners[h.owner] ?? "",
                place: h.attempt > 1 ? undefined : placeOf(h.path, h.run, h.call),
                bound: h.bound,
              }),
            );
            // An extension sees the first attempts that were held before its batch, as in life.
            const extensions = holds.filter(({ place }) => place === undefined);
            const firsts = holds.filter(({ place }) => place !== undefined);
            for (const [someSettlements, someHolds] of [
              [settlements, firsts],
              [[], extensions],
            ] as const) {
              const [results, verdicts] = await Promise.all([ledger.settle(someSettlements), ledger.hold(someHolds)]);
              expect(results).toEqual(someSettlements.map((s) => model.settle(s)));
              expect(verdicts).toEqual(someHolds.map((h) => model.hold(h)));
            }
          } else {
            const owner = owners[one.owner] ?? "";
            const open = new Set<string>(one.open.map((i) => requests[i] ?? ""));
            model.fence(owner);
            for (const name of model.openHolds(owner)) {
              const [requestId = "", attempt] = name.split("/");
              model.settle({ requestId, attempt: Number(attempt), outcome: open.has(requestId) ? "at-bound" : "void" });
            }
            const limiter = { take: async () => [], giveBack: async () => undefined, settle: async () => undefined };
            await recover({ ledger, limiter, keyOf: () => undefined, onAboveBound: () => undefined }, owner, open, []);
            expect(await ledger.openHolds(owner)).toEqual([]);
          }
        }

        for (const expected of model.budgets) {
          expect(await fixture.sums(expected.id)).toEqual(model.sums(expected));
        }
      },
    ),
    { numRuns: 150 },
  );
  expect(await fixture.mismatches()).toEqual([]);
  expect(fixture.events).toEqual([]);
}, 120_000);
