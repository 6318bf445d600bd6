/** The policy service is killed and stopped under load, alone and as one of several replicas. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { policy } from "@weir/contracts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operatorOf } from "../support/operator.ts";
import { type Cluster, startCluster } from "../support/processes.ts";
import { askOnce, SteadyLoad, slowestMs, statusesOf } from "../support/steady-load.ts";

const CONFIG = "models: { m-echo: { targets: [{ provider: echo, model: echo }] } }\n";
const GRACE_MS = 5_000;
const ENV = { WEIR_POLICY_GRACE: `${GRACE_MS}ms` };

async function keysOf({ operator }: Cluster): Promise<{ hard: string; free: string }> {
  const hard = await operator.policy.createKey({ name: "hard" });
  const free = await operator.policy.createKey({ name: "free" });
  await operator.policy.putBudget({
    place: { place: { case: "key", value: hard.key?.id ?? "" } },
    unit: policy.BudgetUnit.REQUESTS,
    period: policy.BudgetPeriod.TOTAL,
    limit: 1_000_000n,
    hard: true,
  });
  return { hard: hard.secret, free: free.secret };
}

const worksOn = (load: SteadyLoad<"hard" | "free">, kind: "hard" | "free"): Promise<void> =>
  expect.poll(() => load.last(kind)?.status, { timeout: 30_000 }).toBe(200);

describe("one policy service", () => {
  let cluster: Cluster;
  let keys: { hard: string; free: string };
  beforeAll(async () => {
    cluster = await startCluster("mesh", { config: CONFIG, env: ENV });
    keys = await keysOf(cluster);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test.each([
    [
      "killed",
      async (one: Cluster["policies"][number]) => one.kill(),
      (one: Cluster["policies"][number]) => one.start(),
    ],
    [
      "stopped",
      async (one: Cluster["policies"][number]) => one.pause(),
      async (one: Cluster["policies"][number]) => one.resume(),
    ],
  ] as const)(
    "%s: hard budgets are refused, others go on for the grace time, then all are refused, none with 401, and all heals",
    async (what, take, giveBack) => {
      const [front, one] = [cluster.fronts[0], cluster.policies[0]];
      if (front === undefined || one === undefined) throw new Error("not a mesh");
      await using load = new SteadyLoad(front, keys);
      await worksOn(load, "hard");
      await worksOn(load, "free");
      const awayMs = performance.now();
      await take(one);
      await expect.poll(() => load.last("hard")?.status, { timeout: 10_000 }).toBe(503);
      const refusedMs = performance.now();
      // Within a second of the last beat all is known.
      await expect.poll(async () => (await askOnce(front, "wk_unknown")).status, { timeout: 10_000 }).toBe(503);
      await expect.poll(() => load.last("free")?.status, { timeout: 30_000 }).toBe(503);
      const overMs = performance.now();
      // The beat before it went may be a quarter of a second old.
      const free = load.since("free", awayMs);
      expect(statusesOf(free.filter(({ atMs }) => atMs < awayMs + GRACE_MS - 500))).toEqual([200]);
      await sleep(1_000);
      for (const kind of ["hard", "free"] as const) {
        const refused = load.since(kind, overMs);
        expect(statusesOf(refused)).toEqual([503]);
        expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["policy_unavailable"]));
        for (const { retryAfter } of refused) expect(Number(retryAfter)).toBeGreaterThan(0);
      }
      expect(await front.readyz()).toBe(503);
      const slowest = slowestMs([...load.since("hard", awayMs), ...free]);
      process.stderr.write(
        `policy ${what}: hard refused after ${Math.round(refusedMs - awayMs)} ms, slowest answer ${slowest} ms\n`,
      );
      expect(slowest).toBeLessThan(10_000);
      await giveBack(one);
      await worksOn(load, "hard");
      await worksOn(load, "free");
      await expect.poll(() => front.readyz(), { timeout: 10_000 }).toBe(200);
    },
    120_000,
  );
});

/** A way to Postgres that can be cut: what is there is closed, what comes is not taken. */
class Cable implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut = false;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async to(port: () => number): Promise<Cable> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const cable = new Cable(server, typeof address === "object" ? (address?.port ?? 0) : 0);
    server.on("connection", (socket) => cable.#take(socket, port()));
    return cable;
  }

  #take(socket: Socket, port: number): void {
    if (this.#cut) return void socket.destroy();
    const upstream = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#cut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
  }
}

describe("two ingresses and two policy replicas", () => {
  let cluster: Cluster;
  let cable: Cable;
  let keys: { hard: string; free: string };
  beforeAll(async () => {
    let postgresPort = 0;
    cable = await Cable.to(() => postgresPort);
    cluster = await startCluster("mesh", {
      config: CONFIG,
      policies: 2,
      ingresses: 2,
      policyEnv: (index, { WEIR_DATABASE_URL = "" }) => {
        postgresPort = Number(new URL(WEIR_DATABASE_URL).port);
        const url = new URL(WEIR_DATABASE_URL);
        url.port = String(cable.port);
        return index === 0 ? { WEIR_DATABASE_URL: url.href } : {};
      },
    });
    keys = await keysOf(cluster);
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await cable?.[Symbol.asyncDispose]();
  });

  const bothFronts = (): Cluster["fronts"] => cluster.fronts;
  const statuses = (key: string): Promise<number[]> =>
    Promise.all(bothFronts().map(async (front) => (await askOnce(front, key)).status));

  async function revokedWithin(mostMs: number): Promise<void> {
    const { key, secret } = await cluster.operator.policy.createKey({ name: "shortlived" });
    await expect.poll(() => statuses(secret), { timeout: 10_000, interval: 20 }).toEqual([200, 200]);
    await cluster.operator.policy.revokeKey({ keyId: key?.id ?? "" });
    const revokedMs = performance.now();
    await expect.poll(() => statuses(secret), { timeout: 30_000, interval: 10 }).toEqual([401, 401]);
    const tookMs = performance.now() - revokedMs;
    process.stderr.write(`revoked on both ingresses after ${Math.round(tookMs)} ms\n`);
    expect(tookMs).toBeLessThan(mostMs);
  }

  test("a revoked key stops working on both within a second", async () => {
    for (let turn = 0; turn < 5; turn++) await revokedWithin(1_000);
  }, 60_000);

  test("one replica is killed: no request notices, and a revoked key still stops working within a second", async () => {
    const second = cluster.policies[1] as Cluster["policies"][number];
    await using a = new SteadyLoad(cluster.fronts[0] as { httpUrl: string }, keys);
    await using b = new SteadyLoad(cluster.fronts[1] as { httpUrl: string }, keys);
    for (const load of [a, b]) for (const kind of ["hard", "free"] as const) await worksOn(load, kind);
    await second.kill();
    await sleep(3_000);
    await revokedWithin(1_000);
    await second.start();
    await expect.poll(() => second.readyz(), { timeout: 30_000 }).toBe(200);
    await sleep(1_500);
    for (const load of [a, b])
      for (const kind of ["hard", "free"] as const)
        expect([kind, ...statusesOf(load.answers[kind])]).toEqual([kind, 200]);
  }, 120_000);

  test("one replica hangs: what it had is asked of the other, and all goes on without it", async () => {
    const second = cluster.policies[1] as Cluster["policies"][number];
    await using a = new SteadyLoad(cluster.fronts[0] as { httpUrl: string }, keys);
    await using b = new SteadyLoad(cluster.fronts[1] as { httpUrl: string }, keys);
    for (const load of [a, b]) for (const kind of ["hard", "free"] as const) await worksOn(load, kind);
    const awayMs = performance.now();
    second.pause();
    await sleep(8_000);
    for (const load of [a, b]) {
      expect(statusesOf(load.since("free", awayMs))).toEqual([200]);
      await worksOn(load, "hard");
      expect(statusesOf(load.since("hard", performance.now() - 2_000))).toEqual([200]);
      const refused = load.since("hard", awayMs).filter(({ status }) => status !== 200);
      for (const { code } of refused) expect(code).toBe("policy_unavailable");
      process.stderr.write(
        `a replica hangs: ${refused.length} of ${load.since("hard", awayMs).length} refused, slowest ${slowestMs(load.since("hard", awayMs))} ms\n`,
      );
    }
    second.resume();
  }, 120_000);

  test("one replica is cut off from Postgres: it is left for the other, which knows what was revoked meanwhile", async () => {
    const [first, second] = cluster.policies as [Cluster["policies"][number], Cluster["policies"][number]];
    await expect.poll(() => second.readyz(), { timeout: 10_000 }).toBe(200);
    // Both ingresses watch the replica that will be cut off.
    await second.kill();
    await expect.poll(async () => statuses(keys.hard), { timeout: 20_000 }).toEqual([200, 200]);
    await sleep(1_500);
    const { key, secret } = await cluster.operator.policy.createKey({ name: "doomed" });
    await expect.poll(() => statuses(secret), { timeout: 10_000 }).toEqual([200, 200]);
    await second.start();
    await expect.poll(() => second.readyz(), { timeout: 30_000 }).toBe(200);
    cable.cut();
    const other = operatorOf({ rpcUrl: second.rpcUrl, adminToken: cluster.adminToken });
    await other.policy.revokeKey({ keyId: key?.id ?? "" });
    const revokedMs = performance.now();
    await expect.poll(() => statuses(secret), { timeout: 60_000, interval: 20 }).toEqual([401, 401]);
    process.stderr.write(`cut off from Postgres: revoked after ${Math.round(performance.now() - revokedMs)} ms\n`);
    await expect.poll(() => statuses(keys.hard), { timeout: 10_000 }).toEqual([200, 200]);
    expect(await first.readyz()).toBe(503);
    cable.mend();
    await expect.poll(() => first.readyz(), { timeout: 30_000 }).toBe(200);
  }, 120_000);
});
