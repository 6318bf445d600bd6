import { describe, expect, it } from "vitest";
import { batch, busContract } from "../test/bus.contract.ts";
import { until } from "../test/support.ts";
import { memoryBus } from "./index.ts";

busContract("the memory bus", async () => memoryBus({ retryMs: 1 }));

describe("the memory bus", () => {
  it("lets a publisher wait while it is full, and goes on when everybody has taken something", async () => {
    await using bus = memoryBus({ maxBytes: 100, consumers: ["audit", "evaluation"], retryMs: 1 });
    const published: number[] = [];
    const all = Array.from({ length: 6 }, (_, at) => bus.publish(batch(at + 1, 40)).then(() => published.push(at + 1)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(published).toEqual([1, 2]);
    let evaluated = 0;
    await bus.subscribe("evaluation", async (batches) => void (evaluated += batches.length));
    await until(() => evaluated === 2, "one of both has them");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(published).toEqual([1, 2]);
    let audited = 0;
    await bus.subscribe("audit", async (batches) => void (audited += batches.length));
    await Promise.all(all);
    await until(() => audited === 6 && evaluated === 6, "both have all");
  });

  it("gives a consumer that was announced everything from the beginning", async () => {
    await using bus = memoryBus({ consumers: ["audit", "evaluation"] });
    const first: number[] = [];
    await bus.subscribe("audit", async (batches) => void first.push(...batches.map(({ first: number }) => number)));
    await bus.publish(batch(1));
    await until(() => first.length === 1, "the first has it");
    const second: number[] = [];
    await bus.subscribe(
      "evaluation",
      async (batches) => void second.push(...batches.map(({ first: number }) => number)),
    );
    await until(() => second.length === 1, "the second has it, too");
  });

  it("tells waiting publishers that it is closed", async () => {
    const bus = memoryBus({ maxBytes: 10 });
    await bus.publish(batch(1, 10));
    const waiting = bus.publish(batch(2, 10));
    const closing = expect(waiting).rejects.toMatchObject({ name: "BusUnavailableError" });
    await bus[Symbol.asyncDispose]();
    await closing;
  });
});
