import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FairQueue, type Waiter } from "./fair-queue.ts";

let made = 0;
const waiter = (flow: string, cost: number, more: Partial<Waiter> = {}): Waiter => ({
  id: `${flow}${(made += 1)}`,
  flow,
  weight: 1,
  cost,
  priority: 0,
  ...more,
});

function served(queue: FairQueue<Waiter>): Waiter | undefined {
  const head = queue.head();
  if (head !== undefined) queue.serve(head.id);
  return head;
}

test("of two that wait, neither is ever ahead by more than the largest cost of each per weight, whoever comes, leaves and goes first", () => {
  const flows = ["a", "b", "c"] as const;
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        flow: fc.constantFrom(...flows),
        cost: fc.integer({ min: 1, max: 1000 }),
        priority: fc.nat(9),
      }),
    },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("serve" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat(50) }) },
  );
  fc.assert(
    fc.property(
      fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
      fc.array(step, { minLength: 50, maxLength: 400 }),
      (weights, steps) => {
        const queue = new FairQueue<Waiter>(1000);
        const waiting = new Map<string, Waiter>();
        const weightOf = (flow: string): number => weights[flows.indexOf(flow as "a")] as number;
        const largest = new Map<string, number>();
        // Of each pair: what each was served since both wait, per weight.
        const since = new Map<string, { one: number; other: number }>();
        const waits = (flow: string): boolean => [...waiting.values()].some((one) => one.flow === flow);
        for (const one of steps) {
          if (one.kind === "add") {
            const entry = waiter(one.flow, one.cost, { weight: weightOf(one.flow), priority: one.priority });
            largest.set(one.flow, Math.max(one.cost, largest.get(one.flow) ?? 0));
            waiting.set(entry.id, entry);
            expect(queue.add(entry)).toBeUndefined();
          } else if (one.kind === "leave") {
            const gone = [...waiting.keys()][one.which];
            if (gone === undefined) continue;
            waiting.delete(gone);
            queue.remove(gone);
          } else {
            const entry = served(queue);
            expect(entry === undefined).toBe(waiting.size === 0);
            if (entry === undefined) continue;
            waiting.delete(entry.id);
            for (const [pair, work] of since) {
              const [first, second] = pair.split("-");
              if (first === entry.flow) work.one += entry.cost / entry.weight;
              if (second === entry.flow) work.other += entry.cost / entry.weight;
            }
          }
          expect(queue.length).toBe(waiting.size);
          for (const first of flows)
            for (const second of flows) {
              if (first >= second) continue;
              const pair = `${first}-${second}`;
              const work = since.get(pair);
              if (work !== undefined) {
                const bound =
                  (largest.get(first) ?? 0) / weightOf(first) + (largest.get(second) ?? 0) / weightOf(second);
                expect(Math.abs(work.one - work.other)).toBeLessThanOrEqual(bound + 1e-6);
              }
              if (!waits(first) || !waits(second)) since.delete(pair);
              else if (work === undefined) since.set(pair, { one: 0, other: 0 });
            }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("in the long run shares are the weights", () => {
  const weights = { small: 1, middle: 2, large: 5 };
  const queue = new FairQueue<Waiter>(1000);
  const work = { small: 0, middle: 0, large: 0 };
  const costs = { small: 10, middle: 700, large: 333 };
  const add = (flow: keyof typeof weights) => queue.add(waiter(flow, costs[flow], { weight: weights[flow] }));
  for (const flow of ["small", "middle", "large"] as const) for (let i = 0; i < 5; i++) add(flow);
  let all = 0;
  while (all < 1_000_000) {
    const { flow, cost } = served(queue) as Waiter & { flow: keyof typeof weights };
    work[flow] += cost;
    all += cost;
    add(flow);
  }
  for (const flow of ["small", "middle", "large"] as const)
    expect(Math.abs(work[flow] / all - weights[flow] / 8)).toBeLessThan(0.002);
});

/** A server of one unit a second; a flow floods it, another comes now and then. @returns the waits of the other's requests */
function waitsBesideFlood(seed: number): number[] {
  const queue = new FairQueue<Waiter & { atS: number }>(200);
  let draw = seed;
  const random = (): number => (draw = (draw * 16_807) % 2_147_483_647) / 2_147_483_647;
  const waits: number[] = [];
  const add = (flow: string, cost: number, atS: number): void => void queue.add({ ...waiter(flow, cost), atS });
  for (let i = 0; i < 150; i++) add("heavy", 1 + random() * 9, 0);
  let nextLightS = 5;
  for (let nowS = 0; waits.length < 500; ) {
    // A third of what would be its share.
    for (; nextLightS <= nowS; nextLightS += 20 + random() * 20) add("light", 1 + random() * 9, nextLightS);
    const head = queue.head() as Waiter & { atS: number };
    queue.serve(head.id);
    if (head.flow === "light") waits.push(nowS - head.atS);
    else add("heavy", 1 + random() * 9, nowS);
    nowS += head.cost;
  }
  return waits;
}

test("who takes less than its share waits for no more than two requests of the one that floods", () => {
  for (const seed of [1, 2, 3]) {
    const waits = waitsBesideFlood(seed).sort((a, b) => a - b);
    expect(waits[Math.floor(waits.length * 0.99)]).toBeLessThanOrEqual(20);
  }
});

describe("a full queue", () => {
  test("keeps out the flow that floods it, and nobody else", () => {
    const queue = new FairQueue<Waiter>(10);
    const heavy = Array.from({ length: 10 }, () => waiter("heavy", 1));
    for (const one of heavy) expect(queue.add(one)).toBeUndefined();
    const eleventh = waiter("heavy", 1);
    expect(queue.add(eleventh)).toBe(eleventh);
    const light = waiter("light", 1);
    expect(queue.add(light)).toBe(heavy[9]);
    expect(queue.length).toBe(10);
    const urgent = waiter("heavy", 1, { priority: 5 });
    expect(queue.add(urgent)).toBe(heavy[8]);
    expect(served(queue)).toBe(urgent);
  });

  test("counts by weight", () => {
    const queue = new FairQueue<Waiter>(4);
    const large = [1, 2, 3].map(() => waiter("large", 1, { weight: 3 }));
    for (const one of large) queue.add(one);
    const small = [waiter("small", 1), waiter("small", 1)];
    expect(queue.add(small[0] as Waiter)).toBeUndefined();
    expect(queue.add(small[1] as Waiter)).toBe(small[1]);
  });
});

test("within a flow the higher priority goes first, then who came first; it takes nothing from other flows", () => {
  const queue = new FairQueue<Waiter>(100);
  const order = [
    waiter("a", 1, { priority: 1 }),
    waiter("a", 1, { priority: 9 }),
    waiter("b", 1),
    waiter("a", 1, { priority: 9 }),
    waiter("b", 1),
  ];
  for (const one of order) queue.add(one);
  expect([served(queue), served(queue), served(queue), served(queue), served(queue)]).toEqual(
    [1, 2, 3, 4, 0].map((i) => order[i]),
  );
});

test("who leaves has paid nothing, and who was away has no claim", () => {
  const queue = new FairQueue<Waiter>(100);
  const gone = waiter("a", 1_000_000);
  queue.add(gone);
  queue.remove(gone.id);
  for (let i = 0; i < 10; i++) queue.add(waiter("b", 1));
  for (let i = 0; i < 5; i++) served(queue);
  for (let i = 0; i < 10; i++) queue.add(waiter("a", 1));
  const flows = Array.from({ length: 10 }, () => served(queue)?.flow);
  expect(flows.filter((flow) => flow === "a")).toHaveLength(5);
});
