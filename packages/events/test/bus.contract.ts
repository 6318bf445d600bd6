import { describe, expect, it } from "vitest";
import type { Batch, Bus, Subscription } from "../src/index.ts";
import { until } from "./support.ts";

export const batch = (number: number, bytes = 10, producer = "a.0.0123456789abcdef"): Batch => ({
  producer,
  first: number,
  last: number,
  data: Buffer.alloc(bytes, number % 256),
});

/** What every bus promises. `make` gives an empty one. */
export function busContract(name: string, make: () => Promise<Bus>): void {
  describe(`${name}, as a bus`, () => {
    it("delivers each batch to every consumer, as it was and in order", async () => {
      await using bus = await make();
      const got = { audit: [] as Copy[], evaluation: [] as Copy[] };
      for (const consumer of ["audit", "evaluation"] as const) {
        await bus.subscribe(consumer, async (batches) => void got[consumer].push(...batches.map(copyOf)));
      }
      const sent = Array.from({ length: 50 }, (_, at) => batch(at + 1, 1 + at * 10));
      await Promise.all(sent.map((one) => bus.publish(one)));
      await until(() => got.audit.length >= 50 && got.evaluation.length >= 50, "all are delivered");
      expect(got.audit).toEqual(sent.map(copyOf));
      expect(got.evaluation).toEqual(sent.map(copyOf));
    });

    it("delivers what came before anybody subscribed", async () => {
      await using bus = await make();
      await bus.publish(batch(1));
      const got: number[] = [];
      await bus.subscribe("audit", async (batches) => void got.push(...batches.map(({ first }) => first)));
      await bus.publish(batch(2));
      await until(() => got.length === 2, "both are delivered");
      expect(got).toEqual([1, 2]);
    });

    it("keeps for a consumer what comes while it is not there", async () => {
      await using bus = await make();
      const got: number[] = [];
      const handler = async (batches: Batch[]): Promise<void> => void got.push(...batches.map(({ first }) => first));
      const first = await bus.subscribe("audit", handler);
      await bus.publish(batch(1));
      await until(() => got.length === 1, "the first is delivered");
      await first[Symbol.asyncDispose]();
      await bus.publish(batch(2));
      await bus.publish(batch(3));
      expect(got).toEqual([1]);
      await bus.subscribe("audit", handler);
      await until(() => got.length === 3, "the others are delivered");
      expect(got).toEqual([1, 2, 3]);
    });

    it("delivers again what a handler refused, alone, until it takes it; others get it once", async () => {
      await using bus = await make();
      const got: number[] = [];
      const sizes: number[] = [];
      let refusals = 3;
      const other: number[] = [];
      await bus.subscribe("other", async (batches) => void other.push(...batches.map(({ first }) => first)));
      const subscription = await bus.subscribe("audit", async (batches) => {
        const bad = batches.some(({ first }) => first === 2);
        if (bad) sizes.push(batches.length);
        if (bad && refusals-- > 0) throw new Error("not now");
        got.push(...batches.map(({ first }) => first));
      });
      await Promise.all([1, 2, 3].map((number) => bus.publish(batch(number))));
      await until(() => got.length === 3 && other.length >= 3, "all are taken");
      expect(new Set(got)).toEqual(new Set([1, 2, 3]));
      expect(sizes.slice(1)).toEqual([1, 1, 1]);
      expect(other).toEqual([1, 2, 3]);
      expect(subscription.lastError).toBeUndefined();
    });

    it("puts a batch aside that a deriving consumer fails on, and lets the others through", async () => {
      await using bus = await make();
      const got = new Set<number>();
      const aside: Batch[] = [];
      let refusals = 2;
      const putAside = async (dead: Batch, error: unknown): Promise<void> => {
        expect(error).toMatchObject({ message: "poison" });
        // What cannot be kept is not let go of.
        if (refusals-- > 0) throw new Error("the store is away");
        aside.push(dead);
      };
      const subscription: Subscription = await bus.subscribe(
        "evaluation",
        async (batches) => {
          if (batches.some(({ first }) => first === 2)) throw new Error("poison");
          for (const { first } of batches) got.add(first);
        },
        { giveUp: { after: 3, putAside } },
      );
      await Promise.all([1, 2, 3].map((number) => bus.publish(batch(number))));
      await until(() => got.size === 2 && subscription.deadLetters === 1, "the others are taken, and it is put aside");
      await bus.publish(batch(4));
      await until(() => got.has(4), "the next one is taken");
      expect(got).toEqual(new Set([1, 3, 4]));
      expect(aside.map(copyOf)).toEqual([copyOf(batch(2))]);
    });

    it("calls a handler with one group at a time, of a hundred at most", async () => {
      await using bus = await make();
      let active = 0;
      let got = 0;
      let largest = 0;
      await bus.subscribe("audit", async (batches) => {
        active += 1;
        expect(active).toBe(1);
        largest = Math.max(largest, batches.length);
        await new Promise((resolve) => setTimeout(resolve, 5));
        got += batches.length;
        active -= 1;
      });
      await Promise.all(Array.from({ length: 250 }, (_, at) => bus.publish(batch(at + 1))));
      await until(() => got === 250, "all are taken");
      expect(largest).toBeGreaterThan(1);
      expect(largest).toBeLessThanOrEqual(100);
    });

    it("shares the batches of a consumer among its subscriptions", async () => {
      await using bus = await make();
      const got: number[] = [];
      const handler = async (batches: Batch[]): Promise<void> => {
        got.push(...batches.map(({ first }) => first));
        await new Promise((resolve) => setTimeout(resolve, 1));
      };
      await bus.subscribe("audit", handler);
      await bus.subscribe("audit", handler);
      for (let at = 1; at <= 60; at += 1) await bus.publish(batch(at));
      await until(() => got.length >= 60, "all are taken");
      expect(got.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    });

    it("takes the largest batch that a relay makes", async () => {
      await using bus = await make();
      const got: number[] = [];
      await bus.subscribe("audit", async (batches) => void got.push(...batches.map(({ data }) => data.length)));
      await bus.publish(batch(1, 960 * 1024));
      await until(() => got.length === 1, "it is delivered");
      expect(got).toEqual([960 * 1024]);
    });

    it("refuses everything once it is closed", async () => {
      const bus = await make();
      await bus[Symbol.asyncDispose]();
      await expect(bus.publish(batch(1))).rejects.toMatchObject({ name: "BusUnavailableError" });
    });
  });
}

type Copy = ReturnType<typeof copyOf>;
const copyOf = ({ producer, first, last, data }: Batch) => ({
  producer,
  first,
  last,
  data: Buffer.from(data).toString("hex"),
});
