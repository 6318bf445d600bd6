/** Policy's Postgres is killed, stopped, locked, slow or not there yet, under load: design.md §3. */
import { setTimeout as sleep } from "node:timers/promises";
import { policy } from "@weir/contracts";
import { COMPOSITIONS } from "@weir/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/processes.ts";
import { askOnce, SteadyLoad, slowestMs, statusesOf } from "../support/steady-load.ts";

const CONFIG = "models: { m-echo: { targets: [{ provider: echo, model: echo }] } }\n";
/** Short, so that a test outlives it: what goes on while Postgres is away must not end with the grace for policy's silence. */
const GRACE_MS = 3_000;
const ENV = { WEIR_POLICY_GRACE: `${GRACE_MS}ms` };
/** What is promised is 2 s. */
const BOUND_MS = 2_000;
const SLACK = 5;

type Kind = "hard" | "soft" | "limited" | "free";

async function keysOf({ operator }: Cluster): Promise<Record<Kind, string>> {
  const make = async (name: string): Promise<{ id: string; secret: string }> => {
    const { key, secret } = await operator.policy.createKey({ name });
    return { id: key?.id ?? "", secret };
  };
  const [hard, soft, limited, free] = await Promise.all(["hard", "soft", "limited", "free"].map(make));
  const at = (id = ""): { place: { case: "key"; value: string } } => ({ place: { case: "key", value: id } });
  const terms = { unit: policy.BudgetUnit.REQUESTS, period: policy.BudgetPeriod.TOTAL, limit: 1_000_000n };
  await operator.policy.putBudget({ ...terms, place: at(hard?.id), hard: true });
  await operator.policy.putBudget({ ...terms, place: at(soft?.id), hard: false });
  await operator.policy.putLimit({
    place: at(limited?.id),
    per: policy.LimitSubject.KEY,
    unit: policy.LimitUnit.REQUESTS,
    amount: 1_000_000n,
    windowMs: 60_000n,
  });
  const secretOf = (made: { secret: string } | undefined): string => made?.secret ?? "";
  return { hard: secretOf(hard), soft: secretOf(soft), limited: secretOf(limited), free: secretOf(free) };
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

describe.each(COMPOSITIONS)("%s", (composition) => {
  let cluster: Cluster;
  let keys: Record<Kind, string>;
  beforeAll(async () => {
    cluster = await startCluster(composition, { config: CONFIG, env: ENV });
    keys = await keysOf(cluster);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  const front = () => cluster.fronts[0] as Cluster["fronts"][number];
  const allWell = async (load: SteadyLoad<Kind>): Promise<void> => {
    for (const kind of ["hard", "soft", "limited", "free"] as const)
      await expect.poll(() => load.last(kind)?.status, { timeout: 30_000 }).toBe(200);
  };

  /** Takes Postgres away under load and gives it back: who is refused, how fast, and that it all heals. */
  async function degraded(what: string, take: () => Promise<unknown>, giveBack: () => Promise<unknown>): Promise<void> {
    await using load = new SteadyLoad(front(), keys);
    await allWell(load);
    const awayMs = performance.now();
    await take();
    await expect.poll(() => load.last("hard")?.status, { timeout: 30_000 }).toBe(503);
    const refusedMs = performance.now();
    await sleep(3 * GRACE_MS);
    const refused = load.since("hard", refusedMs);
    expect(statusesOf(refused)).toEqual([503]);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["policy_unavailable"]));
    for (const { retryAfter } of refused) expect(Number(retryAfter)).toBeGreaterThan(0);
    // None of the others noticed, not even those that were under way.
    for (const kind of ["soft", "limited", "free"] as const)
      expect([kind, ...statusesOf(load.since(kind, awayMs))]).toEqual([kind, 200]);
    const slowest = (["hard", "soft", "limited", "free"] as const).map(
      (kind) => `${kind} ${slowestMs(load.since(kind, awayMs))} ms`,
    );
    say(`${composition}, Postgres ${what}: slowest answers ${slowest.join(", ")}`);
    for (const kind of ["hard", "soft", "limited", "free"] as const)
      expect(slowestMs(load.since(kind, awayMs))).toBeLessThan(BOUND_MS * SLACK);
    // Ready: most requests go on.
    expect(await front().readyz()).toBe(200);
    await giveBack();
    await allWell(load);
    for (const kind of ["soft", "limited", "free"] as const) expect(statusesOf(load.answers[kind])).toEqual([200]);
  }

  test("killed: hard budgets are refused within a bound, the others go on for longer than policy may be silent, and all heals", async () => {
    await degraded(
      "killed",
      async () => {
        await cluster.postgres.kill();
        await expect.poll(async () => (await askOnce(front(), "wk_unknown")).status, { timeout: 10_000 }).toBe(503);
      },
      () => cluster.postgres.restart(),
    );
    // What it knows again it says again.
    await expect.poll(async () => (await askOnce(front(), "wk_unknown")).status, { timeout: 10_000 }).toBe(401);
  }, 120_000);

  test("stopped, so that nothing is closed and nothing answers: the same", async () => {
    await degraded(
      "stopped",
      () => cluster.postgres.pause(),
      () => cluster.postgres.resume(),
    );
  }, 120_000);

  test.each([
    ["its tables locked", "lock table policy.budget_period, policy.hold in access exclusive mode"],
    ["a slow transaction on the rows", "update policy.budget_period set held = held; select pg_sleep(0.1)"],
  ])(
    "%s: the same",
    async (what, statement) => {
      const client = new pg.Client({ connectionString: cluster.postgres.url });
      await client.connect();
      try {
        await degraded(
          what,
          async () => {
            await client.query("begin");
            await client.query(statement);
          },
          () => client.query("rollback"),
        );
      } finally {
        await client.end();
      }
    },
    120_000,
  );
});

describe.each(COMPOSITIONS)("%s, started without Postgres", (composition) => {
  test("says so, never 401, and becomes ready when Postgres comes", async () => {
    await using cluster = await startCluster(composition, { config: CONFIG, env: ENV, withoutPostgres: true });
    const [front] = cluster.fronts;
    if (front === undefined) throw new Error("no facade");
    await expect.poll(() => front.readyz(), { timeout: 60_000 }).toBe(503);
    for (const key of [front.key, "wk_unknown"]) {
      const answer = await askOnce(front, key);
      expect(answer).toMatchObject({ status: 503, code: "policy_unavailable" });
      expect(Number(answer.retryAfter)).toBeGreaterThan(0);
    }
    await cluster.postgres.restart();
    await expect.poll(() => front.readyz(), { timeout: 60_000 }).toBe(200);
    expect((await askOnce(front, front.key)).status).toBe(200);
    expect((await askOnce(front, "wk_unknown")).status).toBe(401);
  }, 180_000);
});
