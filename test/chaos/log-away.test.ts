import { COMPOSITIONS } from "@weir/testkit";
import { describe, expect, test } from "vitest";
import { natsAway, spoolFull } from "./log-away.ts";

// Wall-clock bounds are ten times those that are promised: `pnpm chaos --only nats-away,spool-full` has the true ones.
describe.each(COMPOSITIONS)("%s", (composition) => {
  test("NATS away under load: every request goes on, none is lost, and the log catches up", async () => {
    const result = await natsAway({ composition, requests: 400, clients: 8 });
    console.log(`nats-away ${composition}:`, JSON.stringify(result));
    expect(result.seenMeanwhile).toBeGreaterThan(200);
    expect([result.missing, result.doubled, result.unrecorded, result.gaps]).toEqual([[], [], [], []]);
    expect(result.drainedMs).toBeLessThan(600_000);
  }, 300_000);

  test("a full spool: every request is refused before any provider is called, until it is emptied", async () => {
    const result = await spoolFull({ composition, refusals: 60, clients: 8 });
    console.log(`spool-full ${composition}:`, JSON.stringify(result));
    expect(result.notRefused).toEqual([]);
    expect(result.providerCalls).toBe(0);
    expect(result.slowestRefusalMs).toBeLessThan(10_000);
    expect(result.answersAgain).toBe(true);
    expect([result.missing, result.doubled, result.unrecorded, result.gaps]).toEqual([[], [], [], []]);
  }, 300_000);
});
