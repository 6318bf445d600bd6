/** Redis is killed and stopped under load: each limit does what it was told to do then, nothing hangs, and all heals. */
import { setTimeout as sleep } from "node:timers/promises";
import { policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/processes.ts";
import { SteadyLoad, slowestMs, statusesOf } from "../support/steady-load.ts";

const CONFIG = "models: { m-echo: { targets: [{ provider: echo, model: echo }] } }\n";
/** Redis' commands time out within half a second; ten times as much is no promise but tells hanging from slow. */
const HANGS_MS = 5_000;
const KINDS = ["open", "closed", "small", "hard"] as const;
type Kind = (typeof KINDS)[number];

async function keysOf({ operator }: Cluster): Promise<Record<Kind, string>> {
  const entries = await Promise.all(
    KINDS.map(async (kind) => {
      const { key, secret } = await operator.policy.createKey({ name: kind });
      const place = { place: { case: "key" as const, value: key?.id ?? "" } };
      if (kind === "hard") {
        const terms = { unit: policy.BudgetUnit.REQUESTS, period: policy.BudgetPeriod.TOTAL, limit: 1_000_000n };
        await operator.policy.putBudget({ ...terms, place, hard: true });
      } else {
        await operator.policy.putLimit({
          place,
          per: policy.LimitSubject.KEY,
          unit: policy.LimitUnit.REQUESTS,
          amount: kind === "small" ? 5n : 1_000_000n,
          burst: 0n,
          windowMs: 60_000n,
          failClosed: kind === "closed",
        });
      }
      return [kind, secret] as const;
    }),
  );
  return Object.fromEntries(entries) as Record<Kind, string>;
}

describe.each(COMPOSITIONS)("%s", (composition) => {
  let cluster: Cluster;
  let keys: Record<Kind, string>;
  beforeAll(async () => {
    cluster = await startCluster(composition, { config: CONFIG });
    keys = await keysOf(cluster);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test.each([
    ["killed", () => cluster.redis.kill(), () => cluster.redis.restart()],
    ["stopped", () => cluster.redis.pause(), () => cluster.redis.resume()],
  ] as const)(
    "%s: open limits go on, closed ones refuse at once, budgets do not notice",
    async (what, take, giveBack) => {
      const front = cluster.fronts[0] as Cluster["fronts"][number];
      await using load = new SteadyLoad(front, keys);
      const works = async (kind: Kind): Promise<void> =>
        expect.poll(() => load.last(kind)?.status, { timeout: 30_000 }).toBe(200);
      for (const kind of ["open", "closed", "hard"] as const) await works(kind);
      await expect.poll(() => load.last("small")?.status, { timeout: 30_000 }).toBe(429);
      const awayMs = performance.now();
      await take();
      await expect.poll(() => load.last("closed")?.status, { timeout: 30_000 }).toBe(503);
      const refusedMs = performance.now();
      await sleep(4_000);
      const refused = load.since("closed", refusedMs);
      expect(statusesOf(refused)).toEqual([503]);
      for (const { retryAfter } of refused) expect(Number(retryAfter)).toBeGreaterThan(0);
      for (const kind of ["open", "hard"] as const)
        expect([kind, ...statusesOf(load.since(kind, awayMs))]).toEqual([kind, 200]);
      // Counted here meanwhile: who had used up the limit may begin anew once, and is refused after that.
      expect(statusesOf(load.since("small", awayMs))).toEqual(expect.arrayContaining([429]));
      expect(load.since("small", awayMs).filter(({ status }) => status === 200).length).toBeLessThanOrEqual(6);
      const slowest = KINDS.map((kind) => `${kind} ${slowestMs(load.since(kind, awayMs))} ms`).join(", ");
      process.stderr.write(`${composition}, Redis ${what}: slowest answers ${slowest}\n`);
      for (const kind of KINDS) expect(slowestMs(load.since(kind, awayMs))).toBeLessThan(HANGS_MS);
      await giveBack();
      for (const kind of ["open", "closed", "hard"] as const) await works(kind);
    },
    120_000,
  );
});
